"""Options of training a retrieval model."""

from dataclasses import dataclass, replace

from tfmtl.retrieval.sides import item_features
from tfmtl.schema import Problem
from tfmtl.schema.checks import (
    check_count,
    check_one_of,
    check_positive_int,
    check_positive_ints,
    check_positive_number,
    error_text,
)

RESERVED = ("k", "order", "retrieval")
"""Names that the signatures of two stages use for themselves."""


@dataclass(frozen=True)
class RetrievalOptions:
    """Options of `fit_retrieval`.

    Args:
        task: str or None. Binary task whose positive rows retrieval learns. Defaults to `None`: the first one.
        item: str or None. Feature that identifies an item: of side item, single-valued, with a vocabulary.
            Defaults to `None`: the first such feature.
        dim: int. Width of the two towers' outputs and of every embedding. Defaults to `32`.
        hidden_units: tuple of int. Widths of a tower's hidden layers. Defaults to `(64,)`.
        epochs: int. Passes over the training split; the best by recall@50 on the validation split is kept. Defaults
            to `8`.
        batch_size: int. Positive pairs per step; they are each other's negatives. Defaults to `512`.
        learning_rate: float. Learning rate of Adagrad. Defaults to `0.1`.
        temperature: float. Temperature of the softmax over cosines of the towers' outputs. Defaults to `0.1`.
        seed: int. Seed of every random number of this step. Defaults to `0`.
    """

    task: str | None = None
    item: str | None = None
    dim: int = 32
    hidden_units: tuple[int, ...] = (64,)
    epochs: int = 8
    batch_size: int = 512
    learning_rate: float = 0.1
    temperature: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for argument in ("dim", "epochs", "batch_size"):
            check_positive_int("RetrievalOptions", argument, getattr(self, argument))
        check_positive_ints("RetrievalOptions", "hidden_units", self.hidden_units)
        for argument in ("learning_rate", "temperature"):
            check_positive_number("RetrievalOptions", argument, getattr(self, argument))
        check_count("RetrievalOptions", "seed", self.seed)

    def resolved(self, problem: Problem) -> "RetrievalOptions":
        """The same with task and item named.

        Raises:
            ValueError: the problem has none, or no such one, or a name that the signatures need for themselves.
        """
        taken = [*(feature.name for feature in problem.features), *(task.name for task in problem.tasks)]
        for name in RESERVED:
            if name in taken:
                rule = f"have no feature or task called {', '.join(RESERVED)}"
                raise ValueError(error_text("retrieve", "problem", rule, name, "Rename it in log and problem file."))
        pictures = [each.field for each in problem.tensors if each.is_bytes]
        if pictures:
            rule = "have no pictures, which the towers do not read"
            raise ValueError(error_text("retrieve", "problem", rule, pictures, "Use a vector of each in its place."))
        tasks = [task.name for task in problem.tasks if task.can_be_parent]
        items = [feature.name for feature in item_features(problem) if feature.identifies]
        if not tasks:
            advice = "Add one, such as click: its positive rows are what retrieval learns to find."
            raise ValueError(error_text("retrieve", "problem", "have a binary task", problem.name, advice))
        if not items:
            rule = "have a single-valued categorical feature of side 'item' with a vocabulary"
            raise ValueError(error_text("retrieve", "problem", rule, problem.name, "Add the item's id, not hashed."))
        chosen = replace(self, task=self.task or tasks[0], item=self.item or items[0])
        check_one_of("retrieve", "task", chosen.task, tasks)
        check_one_of("retrieve", "item", chosen.item, items)
        return chosen
