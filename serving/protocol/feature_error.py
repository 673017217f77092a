"""The error for a bad feature of a request."""

from tfmtl.serving.serving_error import ServingError


class FeatureError(ServingError, ValueError):
    """A feature that the model cannot read: code `INVALID_ARGUMENT`, raised by client or server.

    Args:
        message: str. What the feature must be and what was received.
        feature: str. Its name.
        row: int or None. The bad row, counted from 0. Defaults to None: no single row.
    """

    def __init__(self, message: str, feature: str, row: int | None = None) -> None:
        super().__init__("INVALID_ARGUMENT", message)
        self.feature = feature
        self.row = row

    def at(self, where: str, row: int | None = None) -> "FeatureError":
        """Returns the same error with the place in front of its message."""
        return FeatureError(f"{where}: {self.message}", self.feature, row)
