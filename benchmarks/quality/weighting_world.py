"""A made-up world in which every task weighs the same events in a way of its own; what it allows is computed.

A row has J behaviors with the last L items of each, in blocks by age. With the hidden d-wide vector z of an item,

    h_k = sum_e w_k[behavior, block] z_e,     logit_k = bias + b_k' h_k + h_k' A_k h_k

for weights w_k not below 0, and a symmetric A_k without trace. `alike` says how much the tasks' logarithms of weights
and their forms have in common: 1 all, 0 nothing. A label is a form of second degree, so nothing but the weighted mean
itself tells it: a mean with other weights is another vector. The linear parts b_k, orthogonal to each other, have a
share of the logit's variance: without them the gradient of every item's vector is zero in the mean at the start, and no
network learned anything from 30,000 rows. Rows are independent of each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from sklearn.linear_model import LogisticRegression

from tfmtl.metrics import roc_auc
from tfmtl.schema import BinaryTask, CategoricalFeature, Keys, Problem, SequenceFeature, Split

TASKS = ("first", "second", "third", "fourth")
BEHAVIORS, LENGTH, BLOCKS, WIDTH, ITEMS = 5, 12, 6, 4, 60
_CONTRAST = 2.5  # deviation of the logarithms of weights
_SIZE = 1.6  # deviation of the logits
_LINEAR = 0.5  # share of the linear part in their variance
_BIAS = -0.5
_SHARES = (0.75, 0.125, 0.125)


@dataclass(frozen=True)
class WeightingWorld:
    """What is drawn before the rows: T tasks, J behaviors, L events of each, I items, d their hidden width.

    Args:
        latents: `(I, d)`, mean 0 and covariance 1.
        weights: `(T, J, L)`; the squares of a task's weights sum to 1.
        forms: `(T, d, d)`.
        directions: `(T, d)`, of the linear part.
    """

    latents: np.ndarray
    weights: np.ndarray
    forms: np.ndarray
    directions: np.ndarray

    def parts(self, items: np.ndarray) -> np.ndarray:
        """The weighted sums by task and behavior, `(N, T, J, d)`, of items `(N, J, L)`."""
        return np.asarray(np.einsum("kjl,njld->nkjd", self.weights, self.latents[items]))

    def logits(self, items: np.ndarray) -> np.ndarray:
        """`(N, T)`."""
        means = self.parts(items).sum(axis=2)
        curved = np.einsum("nkd,kde,nke->nk", means, self.forms, means)
        return np.asarray(_BIAS + np.einsum("nkd,kd->nk", means, self.directions) + curved)


def draw_weighting_world(seed: int, alike: float) -> WeightingWorld:
    """Draws a world; `alike` from 0, unrelated tasks, to 1."""
    rng = np.random.default_rng([seed, 54])
    latents = rng.normal(size=(ITEMS, WIDTH))
    latents = np.linalg.qr(latents - latents.mean(axis=0))[0] * np.sqrt(ITEMS)

    def mixed(*shape: int) -> np.ndarray:
        common, own = rng.normal(size=shape), rng.normal(size=(len(TASKS), *shape))
        return np.asarray(np.sqrt(alike) * common + np.sqrt(1.0 - alike) * own)

    weights = np.exp(_CONTRAST * mixed(BEHAVIORS, BLOCKS))
    weights = np.repeat(weights, LENGTH // BLOCKS, axis=2)
    # Every behavior matters alike to every task, or a vector would only have to serve the tasks that read it.
    weights /= np.sqrt(BEHAVIORS * (weights**2).sum(axis=2, keepdims=True))
    forms = mixed(WIDTH, WIDTH)
    forms = forms + np.swapaxes(forms, 1, 2)
    forms -= np.eye(WIDTH) * np.trace(forms, axis1=1, axis2=2)[:, None, None] / WIDTH
    # Of standard normal h the variance of h' A h is twice the sum of squares.
    forms *= _SIZE * np.sqrt((1.0 - _LINEAR) / (2.0 * (forms**2).sum(axis=(1, 2), keepdims=True)))
    # Orthogonal, so that together they tell every part of an item's vector, however alike the tasks are.
    directions = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0][: len(TASKS)] * _SIZE * np.sqrt(_LINEAR)
    return WeightingWorld(latents, weights, forms, directions)


def weighting_log(world: WeightingWorld, seed: int, rows: int) -> tuple[pa.Table, np.ndarray]:
    """A log with a list of items for each behavior, and the items, `(N, J, L)`, the oldest first."""
    rng = np.random.default_rng([seed, 45])
    items = rng.integers(0, ITEMS, (rows, BEHAVIORS, LENGTH))
    probabilities = 1.0 / (1.0 + np.exp(-world.logits(items)))
    labels = rng.random(probabilities.shape) < probabilities
    ends = np.cumsum(np.multiply(rows, _SHARES)).astype(int)
    columns = {"item": [f"i{item}" for item in rng.integers(0, ITEMS, rows)]}
    for behavior in range(BEHAVIORS):
        columns[f"items_{behavior}"] = [[f"i{item}" for item in row] for row in items[:, behavior].tolist()]
    for task, label, probability in zip(TASKS, labels.T, probabilities.T, strict=True):
        columns |= {task: label.astype(np.int8), f"probability_{task}": probability}
    columns["split"] = np.array(["train", "valid", "test"])[np.searchsorted(ends, np.arange(rows), side="right")]
    return pa.table(columns), items


def weighting_problem(width: int) -> Problem:
    """The problem of such a log, with embeddings of this width. The item of the row itself says nothing."""
    return Problem(
        "weightings",
        keys=Keys(),
        features=(CategoricalFeature("item", dim=width, side="item"),),
        sequences=tuple(
            SequenceFeature(f"b{n}", ("item",), source="row", lists=(f"items_{n}",), max_length=LENGTH)
            for n in range(BEHAVIORS)
        ),
        tasks=tuple(BinaryTask(task) for task in TASKS),
        split=Split(by="column", column="split"),
    )


def ceilings(world: WeightingWorld, log: pa.Table, items: np.ndarray, width: int) -> dict[str, float]:
    """Mean test AUC over the tasks of what an oracle knows; it knows items' vectors and weights, and fits forms.

    `best`: the true probabilities. `own vectors`: logistic regressions on each task's h and its products. `shared
    vectors`: the same on h as it is told by `width` numbers per behavior that all tasks share, which are linear in the
    tasks' weighted sums: the principal ones, as they are or stretched by the forms, whichever is better on validation.
    """
    split = log["split"].to_numpy(zero_copy_only=False)
    where = {name: split == name for name in ("train", "valid", "test")}
    parts = world.parts(items)
    truth = {task: log[f"probability_{task}"].to_numpy() for task in TASKS}
    labels = {task: log[task].to_numpy() for task in TASKS}
    best = np.mean([roc_auc(labels[task][where["test"]], truth[task][where["test"]]) for task in TASKS])
    stretched = np.stack([_root(form) for form in world.forms])
    told = [_told(parts, np.eye(WIDTH)[None].repeat(len(TASKS), 0), width), _told(parts, stretched, width)]
    shared = max((_fitted_auc(each, labels, where) for each in told), key=lambda found: found["valid"])
    own = _fitted_auc(parts.sum(axis=2), labels, where)
    return {"best": float(best), "own vectors": own["test"], "shared vectors": shared["test"]}


def _root(form: np.ndarray) -> np.ndarray:
    """The root of the form's absolute value: what matters more to the label is longer."""
    values, vectors = np.linalg.eigh(form)
    return np.asarray((vectors * np.sqrt(np.abs(values))) @ vectors.T)


def _told(parts: np.ndarray, stretch: np.ndarray, width: int) -> np.ndarray:
    """`(N, T, d)`: h of each task as far as `width` numbers per behavior tell it, by least squares."""
    rows = len(parts)
    found = np.zeros((rows, *parts.shape[1:2], parts.shape[3]))
    for behavior in range(parts.shape[2]):
        sums = parts[:, :, behavior]  # (N, T, d)
        flat = np.einsum("kde,nke->nkd", stretch, sums).reshape(rows, -1)
        _, vectors = np.linalg.eigh(flat.T @ flat)
        numbers = flat @ vectors[:, -width:]
        found += (numbers @ np.linalg.lstsq(numbers, sums.reshape(rows, -1), rcond=None)[0]).reshape(sums.shape)
    return found


def _fitted_auc(
    means: np.ndarray, labels: Mapping[str, np.ndarray], where: Mapping[str, np.ndarray]
) -> dict[str, float]:
    places = np.triu_indices(WIDTH)
    aucs: dict[str, list[float]] = {"valid": [], "test": []}
    for task, own in zip(TASKS, np.moveaxis(means, 1, 0), strict=True):
        products = (own[:, :, None] * own[:, None, :])[:, places[0], places[1]]
        terms = np.concatenate([own, products], axis=1)
        model = LogisticRegression(max_iter=200).fit(terms[where["train"]], labels[task][where["train"]])
        for split, found in aucs.items():
            scores = model.decision_function(terms[where[split]])
            found.append(roc_auc(labels[task][where[split]], scores))
    return {split: float(np.mean(found)) for split, found in aucs.items()}
