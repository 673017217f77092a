"""What is wrong with a folder that a step left."""


class FolderError(ValueError):
    """A folder cannot be used: the text names it and says why."""


class DataError(FolderError):
    """A data folder cannot be used: the text names the file and says why."""
