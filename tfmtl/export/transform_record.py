"""The identity of the fitted transformation in an export."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tfmtl.data import PreparedData


@dataclass(frozen=True)
class TransformRecord:
    """The identity of vocabularies and statistics, kept beside an exported graph that holds them.

    Args:
        digest: str. As `TransformStatistics.digest`.
        extends: tuple of str. Digests of those that these extend, the oldest first.
    """

    digest: str
    extends: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: PreparedData) -> "TransformRecord":
        """That of a data folder."""
        return cls(data.statistics.digest, tuple(data.statistics.extends))

    def agrees_with(self, other: "TransformRecord") -> bool:
        """Whether equal values have equal ids in both, as far as both know them."""
        return self.digest in (*other.extends, other.digest) or other.digest in self.extends

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        path.write_text(json.dumps(asdict(self)) + "\n")

    @classmethod
    def load(cls, path: Path) -> "TransformRecord":
        """Reads what `save` wrote."""
        facts = json.loads(path.read_text())
        return cls(facts["digest"], tuple(facts["extends"]))
