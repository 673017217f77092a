"""The inputs of a model's constructor: the problem, and sizes and means of the training split."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tfmtl.schema.problem import Problem


@dataclass(frozen=True)
class ModelInputs:
    """A problem together with the fitted facts that shape a model.

    Args:
        problem: `Problem`.
        table_rows: embedding table -> rows, padding (0) and out-of-vocabulary (1) included.
        label_means: task -> mean of its labels in the training split.
        label_deviations: task -> their standard deviation.
        digest: hexadecimal digits that change with everything fitted, vocabularies included: a model is right only
            with exactly the transformation it was trained with.
        task_state: task -> what its kind has fitted to the training labels, such as the shares of classes. Defaults to
            nothing.
    """

    problem: Problem
    table_rows: Mapping[str, int]
    label_means: Mapping[str, float]
    label_deviations: Mapping[str, float]
    digest: str = ""
    task_state: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The mapping that `from_dict` reads back."""
        return {
            "problem": self.problem.to_dict(),
            "table_rows": dict(self.table_rows),
            "label_means": dict(self.label_means),
            "label_deviations": dict(self.label_deviations),
            "digest": self.digest,
            **(
                {"task_state": {task: dict(state) for task, state in self.task_state.items()}}
                if self.task_state
                else {}
            ),
        }

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> "ModelInputs":
        """Reads what `to_dict` wrote."""
        return cls(
            problem=Problem.from_dict(mapping["problem"]),
            table_rows=dict(mapping["table_rows"]),
            label_means=dict(mapping["label_means"]),
            label_deviations=dict(mapping["label_deviations"]),
            digest=mapping["digest"],
            task_state=dict(mapping.get("task_state", {})),
        )

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks, in the order of the model's task axis."""
        return tuple(task.name for task in self.problem.tasks)
