"""The error for an unusable input file."""


class InputError(ValueError):
    """An input file cannot be used; the text names the file and the reason."""
