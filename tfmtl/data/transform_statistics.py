"""The fitted facts of the transformation: vocabularies, boundaries, moments."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from tfmtl.features import behavior_of
from tfmtl.folders.fitted_files import FittedFiles
from tfmtl.schema import ModelInputs, Problem

_COUNTS = "vocabulary_counts"  # the last key of the file in order of names


@dataclass(frozen=True)
class TransformStatistics:
    """Vocabularies, bucket boundaries and moments, all from the training split.

    Args:
        vocabularies: dict of table to its values, most frequent first, equally frequent ones in text order. If the
            vocabulary was extended, the older values come first.
        vocabulary_counts: dict of table to how often each value occurred, in the log in which it was first seen.
        boundaries: dict of numeric feature to the boundaries between its buckets, increasing.
        means: dict of scaled numeric feature to its mean, after the logarithm if it has one.
        deviations: dict of scaled numeric feature to its standard deviation, after the logarithm likewise.
        label_means: task -> mean of the labels.
        label_deviations: task -> standard deviation of the labels.
        task_state: task -> what its kind has fitted to the training labels. Defaults to nothing.
        extends: digests of the statistics that these extend, the oldest first: their ids mean the same here.
            Defaults to none.
        states: feature -> plain values that the behavior of its kind keeps. Defaults to none.
        training: feature -> plain values that only examples of the training split are written with. No part of the
            digest, and not exported. Defaults to none.
        notes: warnings about the numbers, for the manifest of the log that they come from. They are not part of what
            was learned, and are not saved. Defaults to none.
    """

    vocabularies: Mapping[str, tuple[str, ...]]
    vocabulary_counts: Mapping[str, tuple[int, ...]]
    boundaries: Mapping[str, tuple[float, ...]]
    means: Mapping[str, float]
    deviations: Mapping[str, float]
    label_means: Mapping[str, float]
    label_deviations: Mapping[str, float]
    task_state: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    extends: tuple[str, ...] = ()
    states: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    training: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = field(default=(), compare=False)

    def model_inputs(self, problem: Problem) -> ModelInputs:
        """What a model needs to know: the problem and the table sizes."""
        rows: dict[str, int] = {}
        for table, features in problem.tables.items():
            rows[table] = behavior_of(features[0], problem).table_rows(self)[table]
        return ModelInputs(problem, rows, self.label_means, self.label_deviations, self.digest, self.task_state)

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that change with any value or number fitted."""
        left_out = ("extends", "notes", "training")
        fitted = {each.name: dict(getattr(self, each.name)) for each in fields(self) if each.name not in left_out}
        if not self.states:  # as before there were any: what was written then still fits
            del fitted["states"]
        if not self.task_state:
            del fitted["task_state"]  # kinds of tasks without one have the digest that they always had
        text = json.dumps(fitted, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def save(self, directory: str | Path) -> None:
        """Writes the statistics as JSON and one text file per vocabulary, a value per line."""
        self.save_vocabularies(directory)
        files = FittedFiles(directory)
        numbers: dict[str, Any] = {
            "boundaries": {name: list(values) for name, values in self.boundaries.items()},
            "means": dict(self.means),
            "deviations": dict(self.deviations),
            "label_means": dict(self.label_means),
            "label_deviations": dict(self.label_deviations),
            "extends": list(self.extends),
            **({"task_state": dict(self.task_state)} if self.task_state else {}),
        }
        if self.states:
            numbers["states"] = {name: dict(state) for name, state in self.states.items()}
        if self.training:
            files.training.write_text(json.dumps({name: dict(state) for name, state in self.training.items()}) + "\n")
        text = json.dumps({**numbers, _COUNTS: {}}, indent=1, sort_keys=True)
        files.statistics.write_text(text.removesuffix("{}\n}") + _counts_text(self.vocabulary_counts) + "\n}\n")

    def save_vocabularies(self, directory: str | Path) -> None:
        """Writes the text files alone."""
        files = FittedFiles(directory)
        files.vocabularies.mkdir(parents=True, exist_ok=True)
        for table, values in self.vocabularies.items():
            files.vocabulary(table).write_bytes("".join(f"{value}\n" for value in values).encode())

    @classmethod
    def load(cls, directory: str | Path, vocabularies: Path | None = None) -> "TransformStatistics":
        """Reads what `save` wrote.

        Args:
            directory: where `save` wrote.
            vocabularies: folder of the vocabularies, where it is another than `save` chose. A table without values may
                lack its file there.

        Raises:
            FileNotFoundError: the directory holds no statistics.
        """
        files = FittedFiles(directory, vocabularies)
        if not files.statistics.is_file():
            raise FileNotFoundError(
                f"TransformStatistics: no '{files.statistics}'. Give the output folder of `tfmtl preprocess`."
            )
        numbers = json.loads(files.statistics.read_text())
        counts = {table: tuple(values) for table, values in numbers[_COUNTS].items()}
        return cls(
            # Split at "\n" only: str.splitlines also splits at characters that occur inside values.
            vocabularies={
                table: tuple(files.vocabulary(table).read_bytes().decode().split("\n")[:-1])
                if known or vocabularies is None
                else ()
                for table, known in counts.items()
            },
            vocabulary_counts=counts,
            boundaries={name: tuple(values) for name, values in numbers["boundaries"].items()},
            means=numbers["means"],
            deviations=numbers["deviations"],
            label_means=numbers["label_means"],
            label_deviations=numbers["label_deviations"],
            task_state=numbers.get("task_state", {}),
            extends=tuple(numbers.get("extends", ())),
            states=numbers.get("states", {}),
            training=json.loads(files.training.read_text()) if files.training.is_file() else {},
        )


def _counts_text(counts: Mapping[str, tuple[int, ...]]) -> str:
    """The counts as `json.dumps` indents them; it would do so in Python, number by number, and there are millions."""
    lines = [
        f"  {json.dumps(table)}: " + ("[\n   " + ",\n   ".join(map(str, own)) + "\n  ]" if own else "[]")
        for table, own in sorted(counts.items())
    ]
    return "{\n" + ",\n".join(lines) + "\n }" if lines else "{}"
