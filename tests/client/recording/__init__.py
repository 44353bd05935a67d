"""Redaction of recorded traffic."""
