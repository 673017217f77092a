"""A feature that reads one column of the log."""

from tfmtl.schema.features.feature_record import FeatureRecord


class ColumnFeature(FeatureRecord):
    """The base of features that read one column, which is called as the feature where `column` does not name it."""

    column: str | None

    @property
    def column_name(self) -> str:
        """The column of the log."""
        return self.column or self.name

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column_name,)
