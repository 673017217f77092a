"""The error for an unusable data folder."""


class DataError(ValueError):
    """A data folder cannot be used; the text names the file and the reason."""
