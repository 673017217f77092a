"""The problem: features, sequences, tasks and split, which data, model and server share."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tfmtl.schema.checks import did_you_mean
from tfmtl.schema.condition import Condition
from tfmtl.schema.dialect import Dialect
from tfmtl.schema.features.feature_record import FeatureRecord
from tfmtl.schema.forms import EncodedTensor, RequestInput
from tfmtl.schema.keys import ROW_WEIGHT, Keys
from tfmtl.schema.problem_checks import check_problem
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.read_yaml import read_yaml
from tfmtl.schema.registry import FEATURES, TASKS, Registry, load_plugins
from tfmtl.schema.sequence_feature import SequenceFeature
from tfmtl.schema.shown import shown
from tfmtl.schema.split import Split
from tfmtl.schema.strict import check_types, plain, read_list, read_record
from tfmtl.schema.tasks.task_record import TaskRecord
from tfmtl.schema.write_yaml import write_yaml


@dataclass(frozen=True)
class Problem:
    """A multi-task ranking problem, equal in power to the YAML problem file.

    Args:
        name: str. The problem, and the default name of the served model.
        features: tuple of `FeatureRecord`, such as `CategoricalFeature` and `NumericFeature`.
        tasks: tuple of `TaskRecord`, such as `BinaryTask` and `RegressionTask`.
        keys: `Keys`. Defaults to no keys (a table without users or times).
        sequences: tuple of `SequenceFeature`. Defaults to none.
        split: `Split`. Defaults to the newest 10 % for test, 10 % before for validation.
        examples: str or None. Condition on a row to be an example; all other
            rows only feed sequences. Defaults to `None`: every row.
        plugins: tuple of str. Installed modules that register kinds of their own, imported before the rest is read.
            Defaults to none.
        dialect: `Dialect` of the log's text files. Defaults to what CSV and TSV files usually are.
        missing: tuple of str. Texts that mean missing in any column, such as `\\N` and `NULL`. Defaults to none: only
            the empty text does.
        is_stored: bool. Whether `load` read it: then it may be older than the rules for new problems
            (`check_new_problem`). Neither equality nor the file has it. Defaults to `False`.

    Raises:
        ProblemError: a name occurs twice, a parent is unknown or circular, a
            label is used as a feature, a sequence names an unknown column, ...
    """

    name: str
    features: tuple[FeatureRecord, ...]
    tasks: tuple[TaskRecord, ...]
    keys: Keys = field(default_factory=Keys)
    sequences: tuple[SequenceFeature, ...] = ()
    split: Split = field(default_factory=Split)
    examples: str | None = None
    plugins: tuple[str, ...] = ()
    dialect: Dialect = field(default_factory=Dialect)
    missing: tuple[str, ...] = ()
    is_stored: bool = field(default=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_types("Problem", self)
        check_problem(self)

    # === Lookups ===

    def feature(self, name: str) -> FeatureRecord:
        """The feature called `name`."""
        for feature in self.features:
            if feature.name == name:
                return feature
        names = [feature.name for feature in self.features]
        raise KeyError(f"Problem: no feature '{name}'. Known features: {names}.{did_you_mean(name, names)}")

    def task(self, name: str) -> TaskRecord:
        """The task called `name`."""
        for task in self.tasks:
            if task.name == name:
                return task
        names = [task.name for task in self.tasks]
        raise KeyError(f"Problem: no task '{name}'. Known tasks: {names}.{did_you_mean(name, names)}")

    @property
    def examples_condition(self) -> Condition | None:
        """`examples`, parsed."""
        return Condition(self.examples) if self.examples is not None else None

    @property
    def late_tasks(self) -> tuple[TaskRecord, ...]:
        """The tasks whose label follows from later events."""
        return tuple(task for task in self.tasks if task.late_window is not None)

    @property
    def label_keys(self) -> tuple[str, ...]:
        """The names of all labels of a batch, and of its rows' weights."""
        common = [ROW_WEIGHT] if self.keys.weight is not None else []
        return (*(key for task in self.tasks for key in task.label_keys.values()), *common)

    @property
    def group_column(self) -> str | None:
        """The column of the grouped AUC."""
        return self.keys.group or self.keys.user

    @property
    def needs_time(self) -> bool:
        """Whether a request must contain its time."""
        gaps = any(sequence.time_gap_buckets for sequence in self.sequences)
        return gaps or any(feature.needs_time(self) for feature in self.features)

    @property
    def inputs(self) -> tuple[RequestInput, ...]:
        """The tensors of a request: features, then sequences, then its time."""
        found = [each for feature in self.features for each in feature.inputs()]
        found += [each for sequence in self.sequences for each in sequence.inputs(self)]
        if self.needs_time:
            text = "when the request is made, in the log's unit"
            found.append(RequestInput(str(self.keys.time), "int64", (), text=text, is_required=True))
        return tuple(found)

    @property
    def field_tensors(self) -> tuple[EncodedTensor, ...]:
        """The tensors of features that the model reads."""
        return tuple(each for feature in self.features for each in feature.tensors(self))

    @property
    def tensors(self) -> tuple[EncodedTensor, ...]:
        """The tensors that the model reads: features, then sequences."""
        return (*self.field_tensors, *(each for sequence in self.sequences for each in sequence.tensors(self)))

    @property
    def tables(self) -> dict[str, tuple[FeatureRecord, ...]]:
        """Embedding table -> the features whose ids index it, in order of first use."""
        tables: dict[str, tuple[FeatureRecord, ...]] = {}
        for feature in self.features:
            for tensor in feature.tensors(self):
                if tensor.table is not None:
                    tables[tensor.table] = (*tables.get(tensor.table, ()), feature)
        return tables

    def differing_parts(self, other: "Problem") -> list[str]:
        """The parts in which two problems would not give one model: all but `split`, `examples` and `dialect`.

        These only say which rows are learned from and how they are written, and may be others for another day's log.
        """
        mine, others = self.to_dict(), other.to_dict()
        names = [name for name in ("name", "keys", "missing") if mine.get(name) != others.get(name)]
        for part in ("features", "sequences", "tasks"):
            here, there = (
                {item["name"]: {key: value for key, value in item.items() if key != "known_at_event"} for item in items}
                for items in (mine.get(part, []), others.get(part, []))
            )
            changed = [name for name in {**here, **there} if here.get(name) != there.get(name)]
            if not changed and list(here) != list(there):
                changed = ["their order"]
            names += [f"{part} ({', '.join(changed)})"] if changed else []
        return names

    # === Files ===

    def to_dict(self) -> dict[str, Any]:
        """The mapping that `from_dict` reads back, without defaults."""
        result: dict[str, Any] = {"name": self.name}
        if plain(self.keys):
            result["keys"] = plain(self.keys)
        result["features"] = [{"kind": feature.kind, **plain(feature)} for feature in self.features]
        if self.sequences:
            result["sequences"] = [plain(sequence) for sequence in self.sequences]
        result["tasks"] = [{"kind": task.kind, **plain(task)} for task in self.tasks]
        if plain(self.split):
            result["split"] = plain(self.split)
        if self.examples is not None:
            result["examples"] = self.examples
        if self.plugins:
            result["plugins"] = list(self.plugins)
        if plain(self.dialect):
            result["dialect"] = plain(self.dialect)
        if self.missing:
            result["missing"] = list(self.missing)
        return result

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> "Problem":
        """Reads a problem from plain mappings and lists, refusing whatever it does not know."""
        if not isinstance(mapping, Mapping):
            raise ProblemError(f"Problem: must be a mapping of keys to values. Received: {shown(mapping)}.")
        known = ("name", "keys", "features", "sequences", "tasks", "split", "examples", "plugins", "dialect", "missing")
        for key in mapping:
            if key not in known:
                raise ProblemError(
                    f"Problem: unknown key {shown(key)}. Known keys: {sorted(known)}.{did_you_mean(str(key), known)}"
                )
        for key in ("name", "features", "tasks"):
            if key not in mapping:
                raise ProblemError(f"Problem: key '{key}' is missing. Add it.")
        plugins = tuple(read_list(mapping.get("plugins", []), "plugins"))
        load_plugins(plugins)
        return cls(
            name=mapping["name"],
            keys=read_record(Keys, mapping.get("keys", {}), "keys"),
            features=tuple(
                _read_kind(FEATURES, item, f"features[{i}]")
                for i, item in enumerate(read_list(mapping["features"], "features"))
            ),
            sequences=tuple(
                read_record(SequenceFeature, item, f"sequences[{i}]")
                for i, item in enumerate(read_list(mapping.get("sequences", []), "sequences"))
            ),
            tasks=tuple(
                _read_kind(TASKS, item, f"tasks[{i}]") for i, item in enumerate(read_list(mapping["tasks"], "tasks"))
            ),
            split=read_record(Split, mapping.get("split", {}), "split"),
            examples=mapping.get("examples"),
            plugins=plugins,
            dialect=read_record(Dialect, mapping.get("dialect", {}), "dialect"),
            missing=tuple(read_list(mapping.get("missing", []), "missing")),
        )

    @classmethod
    def load(cls, path: str | Path) -> "Problem":
        """Reads a YAML problem file, which may be older than the rules for new problems.

        Raises:
            ProblemError: with the file's name in front.
        """
        path = Path(path)
        if not path.is_file():
            raise ProblemError(f"Problem: no problem file at '{path}'. Give the path of a YAML file.")
        try:
            return replace(cls.from_dict(read_yaml(path.read_text(encoding="utf-8"))), is_stored=True)
        except UnicodeDecodeError as error:
            raise ProblemError(f"{path}: not readable as UTF-8 text: {error}") from error
        except ProblemError as error:
            raise ProblemError(f"{path}: {error}") from error

    def save(self, path: str | Path) -> None:
        """Writes the YAML problem file that `load` reads back."""
        Path(path).write_text(write_yaml(self.to_dict()), encoding="utf-8")

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with every part of the problem."""
        text = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_kind(kinds: Registry, item: object, where: str) -> Any:
    if not isinstance(item, Mapping) or "kind" not in item:
        raise ProblemError(
            f"{where}: must be a mapping with the key 'kind', one of {list(kinds.names)}. Received: {shown(item)}."
        )
    record = kinds.record(item["kind"], where)
    return read_record(record, {k: v for k, v in item.items() if k != "kind"}, where)
