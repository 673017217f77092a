"""The error of a request one of whose features is at fault."""

from serving.serving_error import ServingError


class FeatureError(ServingError, ValueError):
    """A feature that the model does not take as it is: code `INVALID_ARGUMENT`, found before or by the server.

    Args:
        message: str. What the feature must be and what was received.
        feature: str. Its name.
        row: int or None. The row at fault, counted from 0. Defaults to None, where no single row is.
    """

    def __init__(self, message: str, feature: str, row: int | None = None) -> None:
        super().__init__("INVALID_ARGUMENT", message)
        self.feature = feature
        self.row = row

    def at(self, where: str, row: int | None = None) -> "FeatureError":
        """Returns the same error with the place in front of its message."""
        return FeatureError(f"{where}: {self.message}", self.feature, row)
