"""The one error of the development server."""


class DevelopError(Exception):
    """It cannot go on; the text is the sentence that the developer reads."""
