"""The history of calls and their pictures."""
