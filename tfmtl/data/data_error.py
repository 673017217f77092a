"""The error of a data folder."""


class DataError(ValueError):
    """A data folder cannot be used: the text names the file and says why."""
