"""The weights behind a planted log."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

DECAY = 0.8  # weight of an event against the next newer one of its behavior

_NUM_HOURS = 24
_BY_CATEGORY = 0.5  # of an item's latents
# Standard deviations of the logit's terms; together about 1.4, which makes the best AUC about .8.
_SEGMENT, _CATEGORY, _HOUR, _CROSS, _MATCH, _TASTE = 0.3, 0.4, 0.3, 0.6, 0.9, 0.5
_BIASES = (-1.1, -1.4, -1.2, -1.3)
# Correlation of two histories of a user, measured: a task's events are views too, and two tasks have some in common.
_WITH_VIEWS, _AMONG_TASKS = 0.38, 0.25


@dataclass(frozen=True)
class ObservedEffects:
    """What the fields of a row say, apart from the histories: K tasks, I items.

    Args:
        item_category: `(I,)`.
        segment: `(K, S)`, effect of the user's segment.
        category: `(K, C)`, effect of the item's category.
        hour: `(K, 24)`, effect of the hour.
        cross: `(K, S, C)`, effect of segment and category together, beyond the two.
        biases: `(K,)`.
    """

    item_category: np.ndarray
    segment: np.ndarray
    category: np.ndarray
    hour: np.ndarray
    cross: np.ndarray
    biases: np.ndarray

    def logits(self, segments: np.ndarray, items: np.ndarray, hours: np.ndarray) -> np.ndarray:
        """`(K, U)` for U users who see one item each; all arguments are `(U,)`."""
        categories = self.item_category[items]
        effects = self.segment[:, segments] + self.category[:, categories] + self.hour[:, hours]
        return np.asarray(self.biases[:, None] + effects + self.cross[:, segments, categories])


@dataclass(frozen=True)
class PlantedWorld:
    """What is drawn before the first step: K tasks, J = K + 1 behaviors (views first), I items, d their latent width.

    Args:
        observed: `ObservedEffects`.
        item_latents: `(I, d)`, mean zero and covariance one over the items.
        match: `(K, d, d)`, how a history and an item go together.
        taste: `(K, d)`, what a history says whatever the item.
        behaviors: `(K, J)`, how much a task heeds each behavior's history; not negative.
    """

    history: ClassVar[int] = 20

    observed: ObservedEffects
    item_latents: np.ndarray
    match: np.ndarray
    taste: np.ndarray
    behaviors: np.ndarray

    def logits(self, segments: np.ndarray, items: np.ndarray, hours: np.ndarray, recent: np.ndarray) -> np.ndarray:
        """`(K, U)` for U users who see one item each; `recent` is `(U, J, history)`, the others `(U,)`.

        `recent` holds a user's last items of every behavior, the newest first; I stands for no event.
        """
        latents = np.concatenate([self.item_latents, np.zeros((1, self.item_latents.shape[1]))])
        recency = DECAY ** np.arange(self.history)
        histories = np.einsum("ujld,l->ujd", latents[recent], recency / np.sqrt(np.sum(recency**2)))
        heeded = np.einsum("kj,ujd->kud", self.behaviors, histories)
        wanted = np.einsum("kde,ue->kud", self.match, self.item_latents[items]) + self.taste[:, None]
        return np.asarray(self.observed.logits(segments, items, hours) + np.asarray((heeded * wanted).sum(axis=2)))


def draw_world(
    rng: np.random.Generator,
    *,
    conflict: float,
    divergence: float,
    num_tasks: int,
    num_items: int,
    num_segments: int,
    num_categories: int,
    latent_dim: int,
) -> PlantedWorld:
    """Draws a world; the arguments are those of `planted_log`."""
    mixing = task_mixing(conflict, num_tasks)
    item_category = draw_categories(rng, num_items, num_categories)
    return PlantedWorld(
        item_latents=_item_latents(rng, item_category, latent_dim),
        observed=draw_observed(rng, mixing, item_category, num_segments),
        match=_MATCH / latent_dim * task_weights(rng, mixing, latent_dim, latent_dim, centered=False),
        taste=_TASTE / np.sqrt(latent_dim) * task_weights(rng, mixing, latent_dim, centered=False),
        behaviors=_behavior_weights(divergence, num_tasks),
    )


def draw_categories(rng: np.random.Generator, num_items: int, num_categories: int) -> np.ndarray:
    """`(I,)`, every category as often as the others."""
    return rng.permutation(np.arange(num_items) % num_categories)


def draw_observed(
    rng: np.random.Generator, mixing: np.ndarray, item_category: np.ndarray, num_segments: int
) -> ObservedEffects:
    """Draws the effects of the fields; `mixing` is `task_mixing`'s."""
    num_categories = int(item_category.max()) + 1
    return ObservedEffects(
        item_category=item_category,
        segment=_SEGMENT * task_weights(rng, mixing, num_segments),
        category=_CATEGORY * task_weights(rng, mixing, num_categories),
        hour=_HOUR * task_weights(rng, mixing, _NUM_HOURS),
        cross=_CROSS * task_weights(rng, mixing, num_segments, num_categories),
        biases=np.array(_BIASES[: len(mixing)]),
    )


def _item_latents(rng: np.random.Generator, category: np.ndarray, latent_dim: int) -> np.ndarray:
    """`(I, d)`, mean zero and covariance one; items of a category lie near each other."""
    center = rng.normal(size=(category.max() + 1, latent_dim))[category]
    own = rng.normal(size=(len(category), latent_dim))
    latents = np.sqrt(_BY_CATEGORY) * center + np.sqrt(1.0 - _BY_CATEGORY) * own
    return np.asarray(np.linalg.qr(latents - latents.mean(axis=0))[0] * np.sqrt(len(category)))


def task_mixing(correlation: float, num_tasks: int) -> np.ndarray:
    """Lower triangular `(K, K)` whose rows, applied to independent draws, correlate alike in every pair of tasks."""
    mixing = np.zeros((num_tasks, num_tasks))
    shared = 0.0  # of the variance of every later task, by the draws so far
    for task in range(num_tasks):
        own = np.sqrt(max(1.0 - shared, 0.0))
        mixing[task, task] = own
        part = (correlation - shared) / own if own > 1e-6 else 0.0
        mixing[task + 1 :, task] = part
        shared += part**2
    return mixing


def task_weights(rng: np.random.Generator, mixing: np.ndarray, *shape: int, centered: bool = True) -> np.ndarray:
    """`(K, *shape)`: each task's weights have mean square one, and every pair correlates exactly as asked.

    So the dials alone decide how much there is to learn and how much the tasks share, not the luck of few draws.
    """
    num_tasks = len(mixing)
    own = rng.normal(size=(num_tasks, *shape))
    if centered:
        for axis in range(1, own.ndim):
            own -= own.mean(axis=axis, keepdims=True)
    size = int(np.prod(shape))
    orthonormal = np.linalg.qr(own.reshape(num_tasks, size).T)[0].T  # (K, size)
    return np.asarray(mixing @ orthonormal * np.sqrt(size)).reshape(num_tasks, *shape)


def _behavior_weights(divergence: float, num_tasks: int) -> np.ndarray:
    """`(K, J)`, from all behaviors alike (0) to a task's own only (1); the heeded history has unit variance."""
    weights = np.full((num_tasks, num_tasks + 1), (1.0 - divergence) / np.sqrt(num_tasks + 1))
    tasks = np.arange(num_tasks)
    weights[tasks, tasks + 1] += divergence
    correlation = np.full((num_tasks + 1, num_tasks + 1), _AMONG_TASKS)
    correlation[0] = correlation[:, 0] = _WITH_VIEWS
    np.fill_diagonal(correlation, 1.0)
    variance = np.einsum("kj,jl,kl->k", weights, correlation, weights)
    return np.asarray(weights / np.sqrt(variance)[:, None])
