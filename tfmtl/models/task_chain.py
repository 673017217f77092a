"""Tasks that follow from one another: click, then cart, then purchase."""

from collections.abc import Mapping

import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.core.validation import check_one_of, error_text
from tfmtl.layers.heads.conversion_chain import ConversionChain
from tfmtl.losses import behavioural_expectation
from tfmtl.schema import Problem

CHAINS = ("none", "entire_space", "dependence")


def task_parents(problem: Problem) -> tuple[int | None, ...]:
    """For every binary task the index of its `parent`; `None` where it has none, and for tasks of other kinds."""
    names = [task.name for task in problem.tasks]
    return tuple(names.index(task.parent) if task.parent and task.kind == "binary" else None for task in problem.tasks)


class TaskChain:
    """What the parents of a problem's tasks mean for their outputs and losses.

    With `kind="none"` nothing. Otherwise the output of a task with a parent is the probability given that the parent
    happened, and its prediction the product along the chain. `"entire_space"` (ESMM) compares these products with the
    labels on all rows; `"dependence"` compares the conditional probability with the label where the parent happened:
    over the tasks, minus the log-likelihood of the chain.

    Args:
        problem: `Problem`.
        kind: str. `"none"`, `"entire_space"` or `"dependence"`.

    Raises:
        ValueError: `kind` is unknown, or no binary task of the problem has a parent though `kind` is not `"none"`.

    Reference:
        Ma et al. 2018 (ESMM), https://arxiv.org/abs/1804.07931, eq. 1 and 3, for a chain of any length. That APEM's
        unbiased objective is this one is our reading.
    """

    def __init__(self, problem: Problem, kind: str) -> None:
        check_one_of("MultiTaskModel", "chain", kind, CHAINS)
        self.kind = kind
        self.tasks = problem.tasks
        self.parents = task_parents(problem)
        if kind != "none" and not any(parent is not None for parent in self.parents):
            advice = "Name the parent of a task in the problem, as in buy: {parent: click}."
            raise ValueError(error_text("MultiTaskModel", "chain", "be 'none' without parents", kind, advice))
        self.products = ConversionChain(self.parents) if kind != "none" else None

    def marginals(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The heads' outputs with conditional logits replaced by those of the product along the chain."""
        if self.products is None:
            return dict(raw)
        logits = self.products(tf.stack([raw[task.name] for task in self.tasks], axis=1))
        # Outputs that are in no chain are passed by, not through: they may be no logits at all.
        return {
            task.name: raw[task.name] if parent is None else logits[:, k]
            for k, (task, parent) in enumerate(zip(self.tasks, self.parents, strict=True))
        }

    def loss_labels(self, labels: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The labels the losses read: under `"dependence"` missing wherever the parent did not happen."""
        if self.kind != "dependence":
            return dict(labels)
        return {
            task.name: labels[task.name]
            if parent is None
            else tf.where(labels[self.tasks[parent].name] == 1.0, labels[task.name], float("nan"))
            for task, parent in zip(self.tasks, self.parents, strict=True)
        }

    def prior(self, means: Mapping[str, float], index: int) -> float:
        """The share of positives that a task's head starts from; of the parent's positives where it is conditional."""
        parent = self.parents[index]
        own = means[self.tasks[index].name]
        if self.products is None or parent is None:
            return own
        return own / max(means[self.tasks[parent].name], own, 1e-12)

    def excess(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """By how much tasks are predicted above their parents, AITM's Behavioural Expectation Calibrator; a scalar."""
        return behavioural_expectation(tf.stack([predictions[task.name] for task in self.tasks], axis=1), self.parents)
