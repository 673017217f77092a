"""A planted world in which every task reads the events of every behavior in a way of its own."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from tfmtl.pipelines.datasets.planted_world import ObservedEffects, draw_categories, draw_observed, task_mixing

_LATENT_DIM = 2
_FREQUENCY = 2.5  # standard deviation of the waves' directions: high enough that 20 readings are 20 directions
_SCALE = 1.2  # standard deviation of what all histories say together, once they are full
_OBSERVED_SCALE = 0.5  # of the fields' effects, which are not what this world is about


@dataclass(frozen=True)
class ReadingWorld:
    """What is drawn before the first step: K tasks, J = K + 1 behaviors (views first), I items.

    Args:
        observed: `ObservedEffects`.
        readings: `(K, J, I)`, what an event of an item says to a task, by behavior.
    """

    history: ClassVar[int] = 10

    observed: ObservedEffects
    readings: np.ndarray

    def logits(self, segments: np.ndarray, items: np.ndarray, hours: np.ndarray, recent: np.ndarray) -> np.ndarray:
        """`(K, U)`, as `PlantedWorld.logits`."""
        num_tasks, num_behaviors, num_items = self.readings.shape
        readings = np.concatenate([self.readings, np.zeros((num_tasks, num_behaviors, 1))], axis=2)
        counts = np.maximum((recent < num_items).sum(axis=2), 1)  # (U, J)
        said = [readings[:, j][:, recent[:, j]].sum(axis=2) / counts[:, j] for j in range(num_behaviors)]
        return np.asarray(self.observed.logits(segments, items, hours) + np.asarray(np.sum(said, axis=0)))

    def narrowed(self, width: int) -> "ReadingWorld":
        """The world as near to this one as vectors of `width` for the items, averaged and read linearly, can come."""
        matrix = self.readings.reshape(-1, self.readings.shape[2])  # (K * J, I)
        left, sizes, right = np.linalg.svd(matrix, full_matrices=False)
        nearest = (left[:, :width] * sizes[:width]) @ right[:width]
        return replace(self, readings=nearest.reshape(self.readings.shape))


def draw_reading_world(
    rng: np.random.Generator,
    *,
    conflict: float,
    divergence: float,
    num_tasks: int,
    num_items: int,
    num_segments: int,
    num_categories: int,
) -> ReadingWorld:
    """Draws a world; the arguments are those of `planted_log`."""
    mixing = task_mixing(conflict, num_tasks)
    item_category = draw_categories(rng, num_items, num_categories)
    observed = draw_observed(rng, mixing, item_category, num_segments)
    num_behaviors = num_tasks + 1
    latents = rng.normal(size=(num_items, _LATENT_DIM))
    directions = _FREQUENCY * rng.normal(size=(num_tasks, num_behaviors, _LATENT_DIM))
    phases = rng.uniform(0.0, 2.0 * np.pi, size=(num_tasks, num_behaviors, 1))
    waves = _standardised(np.cos(np.einsum("kjd,id->kji", directions, latents) + phases))
    by_behavior = task_mixing(1.0 - divergence, num_behaviors)
    readings = _standardised(np.einsum("kq,jp,qpi->kji", mixing, by_behavior, waves))
    scale = _SCALE * np.sqrt(ReadingWorld.history / num_behaviors)
    return ReadingWorld(
        observed=replace(
            observed,
            segment=_OBSERVED_SCALE * observed.segment,
            category=_OBSERVED_SCALE * observed.category,
            hour=_OBSERVED_SCALE * observed.hour,
            cross=_OBSERVED_SCALE * observed.cross,
            biases=0.5 * observed.biases,  # so that the tasks' histories fill up
        ),
        readings=scale * readings,
    )


def _standardised(readings: np.ndarray) -> np.ndarray:
    centered = readings - readings.mean(axis=2, keepdims=True)
    return np.asarray(centered / centered.std(axis=2, keepdims=True))
