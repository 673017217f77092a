"""The weights behind a planted log."""

from dataclasses import dataclass

import numpy as np

DECAY = 0.8  # weight of an event against the next newer one of its behaviour
HISTORY = 20  # events of a behaviour that count

_NUM_HOURS = 24
_BY_CATEGORY = 0.5  # of an item's latents
# Standard deviations of the logit's terms; together about 1.4, which makes the best AUC about .8.
_SEGMENT, _CATEGORY, _HOUR, _CROSS, _MATCH, _TASTE = 0.3, 0.4, 0.3, 0.6, 0.9, 0.5
_BIASES = (-1.1, -1.4, -1.2, -1.3)
# Correlation of two histories of a user, measured: a task's events are views too, and two tasks have some in common.
_WITH_VIEWS, _AMONG_TASKS = 0.38, 0.25


@dataclass(frozen=True)
class PlantedWorld:
    """What is drawn before the first step: K tasks, J = K + 1 behaviours (views first), I items, d their latent width.

    Args:
        item_latents: `(I, d)`, mean zero and covariance one over the items.
        item_category: `(I,)`.
        segment: `(K, S)`, effect of the user's segment.
        category: `(K, C)`, effect of the item's category.
        hour: `(K, 24)`, effect of the hour.
        cross: `(K, S, C)`, effect of segment and category together, beyond the two.
        match: `(K, d, d)`, how a history and an item go together.
        taste: `(K, d)`, what a history says whatever the item.
        behaviours: `(K, J)`, how much a task heeds each behaviour's history; not negative.
        biases: `(K,)`.
    """

    item_latents: np.ndarray
    item_category: np.ndarray
    segment: np.ndarray
    category: np.ndarray
    hour: np.ndarray
    cross: np.ndarray
    match: np.ndarray
    taste: np.ndarray
    behaviours: np.ndarray
    biases: np.ndarray

    def logits(self, segments: np.ndarray, items: np.ndarray, hours: np.ndarray, histories: np.ndarray) -> np.ndarray:
        """`(K, U)` for U users who see one item each; `histories` is `(U, J, d)`, the others `(U,)`."""
        categories = self.item_category[items]
        observed = self.segment[:, segments] + self.category[:, categories] + self.hour[:, hours]
        observed += self.cross[:, segments, categories]
        heeded = np.einsum("kj,ujd->kud", self.behaviours, histories)
        wanted = np.einsum("kde,ue->kud", self.match, self.item_latents[items]) + self.taste[:, None]
        return np.asarray(self.biases[:, None] + observed + (heeded * wanted).sum(axis=2))


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
    mixing = _task_mixing(conflict, num_tasks)
    category = rng.permutation(np.arange(num_items) % num_categories)
    return PlantedWorld(
        item_latents=_item_latents(rng, category, latent_dim),
        item_category=category,
        segment=_SEGMENT * _weights(rng, mixing, num_segments),
        category=_CATEGORY * _weights(rng, mixing, num_categories),
        hour=_HOUR * _weights(rng, mixing, _NUM_HOURS),
        cross=_CROSS * _weights(rng, mixing, num_segments, num_categories),
        match=_MATCH / latent_dim * _weights(rng, mixing, latent_dim, latent_dim, centred=False),
        taste=_TASTE / np.sqrt(latent_dim) * _weights(rng, mixing, latent_dim, centred=False),
        behaviours=_behaviour_weights(divergence, num_tasks),
        biases=np.array(_BIASES[:num_tasks]),
    )


def _item_latents(rng: np.random.Generator, category: np.ndarray, latent_dim: int) -> np.ndarray:
    """`(I, d)`, mean zero and covariance one; items of a category lie near each other."""
    centres = rng.normal(size=(category.max() + 1, latent_dim))[category]
    own = rng.normal(size=(len(category), latent_dim))
    latents = np.sqrt(_BY_CATEGORY) * centres + np.sqrt(1.0 - _BY_CATEGORY) * own
    return np.asarray(np.linalg.qr(latents - latents.mean(axis=0))[0] * np.sqrt(len(category)))


def _task_mixing(correlation: float, num_tasks: int) -> np.ndarray:
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


def _weights(rng: np.random.Generator, mixing: np.ndarray, *shape: int, centred: bool = True) -> np.ndarray:
    """`(K, *shape)`: each task's weights have mean square one, and every pair correlates exactly as asked.

    So the dials alone decide how much there is to learn and how much the tasks share, not the luck of few draws.
    """
    num_tasks = len(mixing)
    own = rng.normal(size=(num_tasks, *shape))
    if centred:
        for axis in range(1, own.ndim):
            own -= own.mean(axis=axis, keepdims=True)
    size = int(np.prod(shape))
    orthonormal = np.linalg.qr(own.reshape(num_tasks, size).T)[0].T  # (K, size)
    return np.asarray(mixing @ orthonormal * np.sqrt(size)).reshape(num_tasks, *shape)


def _behaviour_weights(divergence: float, num_tasks: int) -> np.ndarray:
    """`(K, J)`, from all behaviours alike (0) to a task's own only (1); the heeded history has unit variance."""
    weights = np.full((num_tasks, num_tasks + 1), (1.0 - divergence) / np.sqrt(num_tasks + 1))
    tasks = np.arange(num_tasks)
    weights[tasks, tasks + 1] += divergence
    correlation = np.full((num_tasks + 1, num_tasks + 1), _AMONG_TASKS)
    correlation[0] = correlation[:, 0] = _WITH_VIEWS
    np.fill_diagonal(correlation, 1.0)
    variance = np.einsum("kj,jl,kl->k", weights, correlation, weights)
    return np.asarray(weights / np.sqrt(variance)[:, None])
