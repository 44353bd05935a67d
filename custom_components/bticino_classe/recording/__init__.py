"""Recordings of what the cloud says, for owners who want to help with the protocol."""
