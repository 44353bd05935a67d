"""The error of the development server."""


class DevelopError(Exception):
    """The server cannot continue; the message is printed for the developer."""
