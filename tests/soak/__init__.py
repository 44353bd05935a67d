"""Runs that last longer, and are worse, than any house: `scripts/soak --help`."""
