"""The error of an input file."""


class InputError(ValueError):
    """An input file cannot be used: the text names the file and says why."""
