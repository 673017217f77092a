"""Planted: a made-up log of several behaviors in which the probability of every label is known.

At each of `num_steps` steps every user sees a random item and each task's label (like, buy, ...) is drawn with

    logit_k = bias_k + segment_k[s] + category_k[c] + hour_k[t] + cross_k[s, c] + <h_k, match_k z> + <h_k, taste_k>

for the user's segment s, the item's category c and latent vector z, the hour t, and the task's history
`h_k = sum_j behaviors_kj h_j`. Behavior 0 is every view, behavior j the positive rows of task j, and `h_j` is the
recency-weighted mean of the latents of its last 20 items: `sum_i 0.8^i z_i`, the newest first, absent events zero,
scaled by a constant to unit variance. The latents are not in the log; a model has to learn them from the item ids.

No model can expect a higher AUC than the true probabilities have: `best_auc`. About .8, whatever the dials.
"""

from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.metrics import roc_auc
from tfmtl.pipelines.datasets.dataset import Dataset
from tfmtl.pipelines.datasets.planted_world import draw_world
from tfmtl.schema import SPLITS, BinaryTask, Problem, SequenceFeature
from tfmtl.schema.checks import check_count, check_number, check_one_of, check_positive_int, error_text

PLANTED_TASKS = {"like": "liked", "buy": "bought", "share": "shared", "follow": "followed"}  # task -> its behavior

_START = 1_700_006_400  # midnight
_STEP_SECONDS = 6 * 3600
_HELD_OUT = 0.1  # of the steps, for validation and for test


def planted_log(
    seed: int = 0,
    conflict: float = 0.0,
    divergence: float = 0.5,
    num_users: int = 2000,
    num_steps: int = 50,
    num_items: int = 300,
    num_tasks: int = 2,
    *,
    num_segments: int = 8,
    num_categories: int = 10,
    latent_dim: int = 4,
) -> pa.Table:
    """A log in order of time, with a column `probability_<task>` for every task.

    Args:
        seed: int. Same arguments, same table. A longer log begins with the shorter one.
        conflict: float. Correlation of the weights of any two tasks: 1 the same up to their biases, 0 unrelated,
            -1 (two tasks) opposite. With K tasks at least -1 / (K - 1). Defaults to `0.0`.
        divergence: float in [0, 1]. How differently the tasks use the behaviors: 0 all tasks heed all histories
            alike, 1 each task heeds the history of its own behavior alone. Defaults to `0.5`.
        num_users: int. Defaults to `2000`.
        num_steps: int. Impressions per user, six hours apart on average; the last tenth is the test split, the tenth
            before it the validation split. Defaults to `50`.
        num_items: int. Each is seen about `num_users * num_steps / num_items` times. Defaults to `300`.
        num_tasks: int. 1 to 4: like, buy, share, follow. Defaults to `2`.
        num_segments: int. Segments of users. Defaults to `8`.
        num_categories: int. Categories of items. Defaults to `10`.
        latent_dim: int. Width of an item's hidden vector. Defaults to `4`.

    Raises:
        TypeError: an argument is not a number of its kind.
        ValueError: an argument is out of range; the text says which.
    """
    check_count("planted_log", "seed", seed)
    sizes = {"num_users": num_users, "num_steps": num_steps, "num_items": num_items, "num_segments": num_segments}
    sizes |= {"num_categories": num_categories, "num_tasks": num_tasks, "latent_dim": latent_dim}
    _check(conflict, divergence, **sizes)
    world_rng, user_rng, step_rng = np.random.default_rng(seed).spawn(3)
    del sizes["num_users"], sizes["num_steps"]
    world = draw_world(world_rng, conflict=conflict, divergence=divergence, **sizes)
    segments = user_rng.integers(num_segments, size=num_users)
    recent = np.full((num_users, num_tasks + 1, world.history), num_items)  # items, the newest first; none so far
    parts = []
    for step in range(num_steps):
        items = step_rng.integers(num_items, size=num_users)
        times = _START + step * _STEP_SECONDS + step_rng.integers(_STEP_SECONDS, size=num_users)
        hours = times // 3600 % 24
        probabilities = 1.0 / (1.0 + np.exp(-world.logits(segments, items, hours, recent)))  # (K, U)
        labels = step_rng.random(probabilities.shape) < probabilities
        happened = np.concatenate([np.ones((1, num_users), bool), labels]).T[:, :, None]
        moved = np.concatenate([np.broadcast_to(items[:, None, None], (*recent.shape[:2], 1)), recent[:, :, :-1]], 2)
        recent = np.where(happened, moved, recent)
        columns = {
            "user_id": np.arange(num_users),
            "item_id": items,
            "timestamp": times,
            "segment": segments,
            "category": world.observed.item_category[items],
            "hour": hours,
        }
        for task, label, probability in zip(PLANTED_TASKS, labels, probabilities, strict=False):
            columns |= {task: label.astype(np.int8), f"probability_{task}": probability}
        split = pa.array([_split(step, num_steps)] * num_users)
        parts.append(pa.table(columns).append_column("split", split))
    return pa.concat_tables(parts).sort_by([("timestamp", "ascending"), ("user_id", "ascending")])


def planted_problem(num_tasks: int = 2, max_length: int = 20, dim: int = 16) -> Problem:
    """The problem that fits `planted_log(num_tasks=num_tasks)`: `planted.yaml`, with more or fewer tasks.

    Args:
        num_tasks: int. Defaults to `2`.
        max_length: int. Events of a behavior that a model sees. Defaults to `20`.
        dim: int. Width of the embeddings. Defaults to `16`.
    """
    _check_tasks("planted_problem", num_tasks)
    with resources.as_file(resources.files("tfmtl.pipelines.datasets") / "planted.yaml") as path:
        problem = Problem.load(path)
    viewed = replace(problem.sequences[0], max_length=max_length)
    loaded: tuple[Any, ...] = problem.features  # all of them have a `dim`
    features = tuple(replace(feature, dim=dim) for feature in loaded)
    behaviors = dict(list(PLANTED_TASKS.items())[:num_tasks])
    sequences = [
        SequenceFeature(name=behavior, columns=viewed.columns, when=f"{task} == 1", max_length=max_length)
        for task, behavior in behaviors.items()
    ]
    tasks = tuple(BinaryTask(behavior, known_at_event=True) for behavior in behaviors)
    return replace(problem, features=features, tasks=tasks, sequences=(viewed, *sequences))


def best_auc(log: pa.Table, split: str = "test") -> dict[str, float]:
    """Task -> AUC of the true probabilities on a split.

    Args:
        log: from `planted_log`.
        split: train, valid or test. Defaults to `"test"`.
    """
    check_one_of("best_auc", "split", split, SPLITS)
    rows = log.filter(pc.equal(log["split"], split))
    tasks = [task for task in PLANTED_TASKS if task in rows.column_names]
    return {task: roc_auc(rows[task].to_numpy(), rows[f"probability_{task}"].to_numpy()) for task in tasks}


def _split(step: int, num_steps: int) -> str:
    held_out = max(round(_HELD_OUT * num_steps), 1)
    if step >= num_steps - held_out:
        return "test"
    return "valid" if step >= num_steps - 2 * held_out else "train"


def _check(conflict: float, divergence: float, **sizes: int) -> None:
    for argument, value in sizes.items():
        check_positive_int("planted_log", argument, value)
    num_tasks = sizes["num_tasks"]
    _check_tasks("planted_log", num_tasks)
    # Tasks' weights can be unrelated only where there are as many free ones as tasks; effects have mean zero.
    least = {"num_steps": 3, "num_items": sizes["latent_dim"] + 1, "latent_dim": num_tasks}
    least |= {"num_segments": num_tasks + 1, "num_categories": num_tasks + 1}
    for argument, minimum in least.items():
        if sizes[argument] < minimum:
            advice = "Use more, or fewer tasks."
            raise ValueError(error_text("planted_log", argument, f"be at least {minimum}", sizes[argument], advice))
    check_number("planted_log", "conflict", conflict)
    lowest = -1.0 / max(num_tasks - 1, 1)
    if not lowest <= conflict <= 1.0:
        advice = f"{num_tasks} tasks cannot all disagree more than that."
        raise ValueError(error_text("planted_log", "conflict", f"lie in [{lowest:.4g}, 1]", conflict, advice))
    check_number("planted_log", "divergence", divergence)
    if not 0.0 <= divergence <= 1.0:
        advice = "0: the behaviors are used alike; 1: each task uses its own."
        raise ValueError(error_text("planted_log", "divergence", "lie in [0, 1]", divergence, advice))


def _check_tasks(owner: str, num_tasks: int) -> None:
    check_positive_int(owner, "num_tasks", num_tasks)
    if num_tasks > len(PLANTED_TASKS):
        rule, advice = f"be at most {len(PLANTED_TASKS)}", f"The tasks are {', '.join(PLANTED_TASKS)}."
        raise ValueError(error_text(owner, "num_tasks", rule, num_tasks, advice))


def _fetch() -> dict[str, bytes]:
    return {}


def _find(folder: Path) -> dict[str, bytes]:
    raise FileNotFoundError("it is drawn from a seed, not read. Leave --folder out")


PLANTED = Dataset(
    name="planted",
    summary="Planted: 100,000 made-up impressions, tasks like and buy, whose best possible AUC is known",
    fetch=_fetch,
    find=_find,
    to_rows=lambda files: planted_log(),
)
