"""Chains of tasks, such as click, cart and purchase."""

from collections.abc import Mapping

import tensorflow as tf

from tfmtl.core.parents import tasks_by_depth
from tfmtl.core.types import Tensor
from tfmtl.layers.heads.conversion_chain import ConversionChain
from tfmtl.losses import behavioral_expectation, inverse_propensity_loss
from tfmtl.schema import Problem
from tfmtl.schema.checks import check_one_of, error_text

CHAINS = ("none", "entire_space", "dependence", "inverse_propensity")


def task_parents(problem: Problem) -> tuple[int | None, ...]:
    """For every yes/no task the index of its `parent`; `None` where it has none, and for tasks of other kinds."""
    names = [task.name for task in problem.tasks]
    return tuple(names.index(task.parent) if task.parent and task.can_be_parent else None for task in problem.tasks)


class TaskChain:
    """The effect of the tasks' parents on outputs and losses.

    With `kind="none"` nothing. Otherwise the output of a task with a parent is the probability given that the parent
    happened, and its prediction the product along the chain. `"entire_space"` (ESMM) compares these products with the
    labels on all rows; `"dependence"` compares the conditional probability with the label where the parent happened:
    over the tasks, minus the log-likelihood of the chain. `"inverse_propensity"` (ESCM2-IPS) is `"entire_space"` with
    one more loss for each step: that of the conditional probability where the parent happened, each row weighted by
    one over the probability predicted for the parent, so that its mean is that over all rows.

    Args:
        problem: `Problem`.
        kind: str. `"none"`, `"entire_space"`, `"dependence"` or `"inverse_propensity"`.

    Raises:
        ValueError: `kind` is unknown, or is not `"none"` though no yes/no task of the problem has a parent, or a task
            of another kind has one.

    Reference:
        Ma et al. 2018 (ESMM), https://arxiv.org/abs/1804.07931, eq. 1 and 3, for a chain of any length. That APEM's
        unbiased objective is this one is our reading. Wang et al. 2022 (ESCM2), https://arxiv.org/abs/2204.05125, for
        `"inverse_propensity"`, here for a chain of any length.
    """

    def __init__(self, problem: Problem, kind: str) -> None:
        check_one_of("MultiTaskModel", "chain", kind, CHAINS)
        self.kind = kind
        self.tasks = problem.tasks
        self.parents = task_parents(problem)
        if kind != "none" and not any(parent is not None for parent in self.parents):
            advice = "Name the parent of a task in the problem, as in buy: {parent: click}."
            raise ValueError(error_text("MultiTaskModel", "chain", "be 'none' without parents", kind, advice))
        for task in problem.tasks if kind != "none" else ():
            if task.parent is not None and not task.can_be_parent:
                rule = f"be 'none' where task '{task.name}' of kind '{task.kind}' has a parent"
                advice = "Only yes/no tasks are steps of a chain: take its parent away, or use its `sample_space`."
                raise ValueError(error_text("MultiTaskModel", "chain", rule, kind, advice))
        # Only yes/no tasks have logits to multiply and probabilities to compare.
        self._steps = [k for k, task in enumerate(problem.tasks) if task.can_be_parent]
        self._step_parents = [
            None if parent is None else self._steps.index(parent) for parent in (self.parents[k] for k in self._steps)
        ]
        self.products = ConversionChain(self._step_parents) if kind != "none" else None
        self.compares_products = kind in ("entire_space", "inverse_propensity")

    def marginals(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The heads' outputs with conditional logits replaced by those of the product along the chain."""
        if self.products is None:
            return dict(raw)
        logits = self.products(tf.stack([raw[self.tasks[k].name] for k in self._steps], axis=1))
        # A task without a parent is passed by, not through, so that its logits keep every bit.
        found = dict(raw)
        for place, (k, parent) in enumerate(zip(self._steps, self._step_parents, strict=True)):
            if parent is not None:
                found[self.tasks[k].name] = logits[:, place]
        return found

    def loss_labels(self, labels: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The labels the losses read.

        Where products are compared, a label that is missing where the parent did not happen is 0: known, and without
        these rows the product would learn the conditional probability. Under `"dependence"` it is missing wherever the
        parent did not happen.
        """
        found = dict(labels)
        for level in tasks_by_depth(self.parents)[1:] if self.products is not None else []:
            for k in level:
                own, above = found[self.tasks[k].name], found[self._parent_name(k)]
                if self.compares_products:
                    found[self.tasks[k].name] = tf.where(tf.math.is_nan(own) & (above == 0.0), 0.0, own)
                else:
                    found[self.tasks[k].name] = tf.where(above == 1.0, own, float("nan"))
        return found

    def counted_labels(self, labels: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The labels by whose number the loss of a task is divided.

        They are those that the loss reads, but under `"dependence"` all rows where it is known whether the parent
        happened: there a row without the parent has a likelihood of 1.
        """
        if self.kind != "dependence":
            return self.loss_labels(labels)
        found = dict(labels)
        for k, parent in enumerate(self.parents):
            if parent is not None:
                above = labels[self._parent_name(k)]
                known = tf.where(above == 0.0, 0.0, labels[self.tasks[k].name])
                found[self.tasks[k].name] = tf.where(tf.math.is_nan(above), float("nan"), known)
        return found

    def propensity_losses(
        self,
        raw: Mapping[str, Tensor],
        labels: Mapping[str, Tensor],
        weights: Mapping[str, Tensor | None],
        least: float,
    ) -> dict[int, Tensor]:
        """Task's number -> its conditional loss, weighted by one over what is predicted for its parent.

        A mean over the rows for which parent and step are known; empty but under `"inverse_propensity"`.

        Args:
            raw: the heads' outputs.
            labels: task -> `(B,)`, NaN where missing.
            weights: task -> of its rows, or `None`.
            least: float. The smallest probability that is divided by.
        """
        if self.kind != "inverse_propensity":
            return {}
        marginals = self.marginals(raw)
        found = {}
        for k, parent in enumerate(self.parents):
            if parent is not None:
                own, above = self.tasks[k].name, self._parent_name(k)
                found[k] = inverse_propensity_loss(
                    labels[own], raw[own], labels[above], marginals[above], least, weights[own]
                )
        return found

    def _parent_name(self, index: int) -> str:
        parent = self.parents[index]
        return self.tasks[index if parent is None else parent].name

    def prior(self, means: Mapping[str, float], index: int) -> float:
        """The share of positives that a task's head starts with; if it is conditional, among the parent's positives."""
        parent = self.parents[index]
        own = means[self.tasks[index].name]
        if self.products is None or parent is None:
            return own
        above = means[self.tasks[parent].name]
        # A mean over the parent's positives alone is conditional already; so, by all signs, is one above the parent's.
        is_conditional = self.tasks[index].sample_space is not None or own > above
        return own if is_conditional else own / max(above, 1e-12)

    def row_weights(self, weights: Mapping[str, Tensor | None]) -> Tensor | None:
        """What a row counts for the calibrator: the mean of its weights for the tasks that have a parent."""
        own = [weights[task.name] for task, parent in zip(self.tasks, self.parents, strict=True) if parent is not None]
        known = [tf.cast(tf.reshape(weight, (-1,)), tf.float32) for weight in own if weight is not None]
        return tf.add_n(known) / len(known) if known else None

    def excess(self, predictions: Mapping[str, Tensor], weights: Tensor | None) -> Tensor:
        """AITM's Behavioral Expectation Calibrator: how far tasks are predicted above their parents, a scalar."""
        probabilities = tf.stack([predictions[self.tasks[k].name] for k in self._steps], axis=1)
        return behavioral_expectation(probabilities, self._step_parents, weights)
