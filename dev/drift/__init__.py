"""Compares a recording of the cloud's messages with what is known of the protocol."""
