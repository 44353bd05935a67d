"""Live view: viewers, TURN servers."""
