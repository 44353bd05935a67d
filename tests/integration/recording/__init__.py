"""Recordings of what the cloud says, made with the action."""
