"""A year of two accounts in a real Home Assistant, with time that jumps from timer to timer."""
