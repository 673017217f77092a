"""A feature that reads one column of the log."""

from tfmtl.schema.checks import check_choice, check_column, check_dropout, check_minimum, check_missing, check_name
from tfmtl.schema.features.feature_record import SIDES, FeatureRecord
from tfmtl.schema.strict import check_types


class ColumnFeature(FeatureRecord):
    """The base of features that read one column, which is called as the feature where `column` does not name it."""

    column: str | None
    side: str
    dim: int

    @property
    def column_name(self) -> str:
        """The column of the log."""
        return self.column or self.name

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column_name,)

    def check_common_keys(self) -> str:
        """Checks the keys that all features of a column have; returns the owner that errors begin with."""
        owner = f"{type(self).__name__} '{self.name}'"
        check_types(owner, self)
        check_name(type(self).__name__, "name", self.name)
        check_choice(owner, "side", self.side, SIDES)
        check_column(owner, "column", self.column)
        check_missing(owner, self.missing)
        check_dropout(owner, self.dropout)
        check_minimum(owner, "dim", self.dim, 1)
        return owner
