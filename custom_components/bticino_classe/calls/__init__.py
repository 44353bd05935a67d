"""The life of calls: pushes, timers, listeners."""
