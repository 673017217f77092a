"""AUC and processor time of a training step as histories grow, for each pooling, where old events decide.

    python -m benchmarks.quality.long_histories

A made-up log: every user has a lasting taste for groups of items; the last 100 events are of a passing one, and whether
a candidate is clicked depends on how often its group occurs among all events before. Whoever reads 100 events knows
nothing. MMoE with one sequence; trained on some users, measured on others; the bound is the AUC of the probabilities
that labels were drawn with. Poolings take turns at every length and seed.
"""

import statistics
import time
from typing import Annotated, Any

import numpy as np
import typer

from tfmtl.metrics import roc_auc
from tfmtl.pipelines.cli.quiet_start import start_tensorflow

_GROUPS, _PASSING, _CANDIDATES, _DIM = 50, 100, 10, 16
_RESERVED = 2  # ids 0 (missing) and 1 (not seen in training)


def main(
    poolings: str = "mean,target,sdim",
    lengths: str = "100,1000",
    users: Annotated[int, typer.Option(help="In training; a quarter as many are measured on.")] = 2000,
    epochs: int = 5,
    batch_size: int = 256,
    seeds: int = 1,
) -> None:
    """Prints a row for each pooling."""
    start_tensorflow()
    sizes, names = [int(length) for length in lengths.split(",")], poolings.split(",")
    found: dict[tuple[str, int], list[tuple[float, float]]] = {(n, s): [] for n in names for s in sizes}
    bounds = []
    for seed in range(seeds):
        train, test = (_log(count, max(sizes), [seed, part]) for part, count in enumerate((users, users // 4)))
        bounds.append(roc_auc(test["labels"], test["chances"]))
        for length in sizes:
            for name in names:
                found[name, length].append(_trained(name, length, train, test, epochs, batch_size, seed))
                print(name, length, seed, found[name, length][-1], flush=True)
    print(f"\n| pooling | {' | '.join(f'AUC, L = {n} | step' for n in sizes)} |\n|---{'|---:' * 2 * len(sizes)}|")
    for name in names:
        cells = []
        for length in sizes:
            auc, seconds = (statistics.median(column) for column in zip(*found[name, length], strict=True))
            cells.append(f"{auc:.4f} | {1e3 * seconds:.0f} ms")
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"\nBound: {statistics.median(bounds):.4f}.")


def _log(users: int, length: int, seed: list[int]) -> dict[str, np.ndarray]:
    """Histories `(users, length)` of groups, oldest first; candidates and labels `(users, 10)`, chances too."""
    generator = np.random.default_rng(seed)

    def drawn(count: int) -> np.ndarray:
        tastes = generator.dirichlet(np.full(_GROUPS, 0.5), users)
        steps = np.cumsum(tastes, axis=1)
        return np.stack([np.searchsorted(own, generator.random(count) * own[-1]) for own in steps])

    lasting = drawn(length - _PASSING) if length > _PASSING else np.zeros((users, 0), int)
    passing = drawn(_PASSING)
    counts = np.stack([np.bincount(own, minlength=_GROUPS) for own in lasting])
    candidates = generator.integers(0, _GROUPS, (users, _CANDIDATES))
    share = np.take_along_axis(counts, candidates, axis=1) * _GROUPS / max(lasting.shape[1], 1)
    chances = 1.0 / (1.0 + np.exp(-(1.5 * np.log(share + 0.1) + 1.0)))
    labels = (generator.random(chances.shape) < chances).astype("float32")
    histories = np.concatenate([lasting, passing], axis=1).astype("int32") + _RESERVED
    return {
        "histories": histories,
        "candidates": candidates.astype("int32").ravel() + _RESERVED,
        "labels": labels.ravel(),
        "chances": chances.ravel(),
    }


def _trained(
    pooling: str,
    length: int,
    train: dict[str, np.ndarray],
    test: dict[str, np.ndarray],
    epochs: int,
    batch_size: int,
    seed: int,
) -> tuple[float, float]:
    """AUC on the users that were not trained on, and processor seconds of a step."""
    import keras
    import tensorflow as tf

    from tfmtl.models import from_preset
    from tfmtl.schema import BinaryTask, CategoricalFeature, Keys, ModelInputs, Problem, SequenceFeature

    keras.utils.set_random_seed(seed)
    tasks = ("click", "again")  # the second has the first one's labels: a multi-task model wants two
    problem = Problem(
        name="histories",
        keys=Keys(user="user", time="time"),
        features=(CategoricalFeature("group", dim=_DIM),),
        sequences=(SequenceFeature("seen", ("group",), max_length=length, time_gap_buckets=0),),
        tasks=tuple(BinaryTask(name) for name in tasks),
    )
    model = from_preset(
        "mmoe",
        ModelInputs(problem, dict.fromkeys(problem.tables, _GROUPS + _RESERVED), dict.fromkeys(tasks, 0.5), {}),
        pooling=pooling,
    )
    model.compile(keras.optimizers.Adam(4e-3))

    def batches(log: dict[str, np.ndarray], order: np.ndarray) -> tf.data.Dataset:
        histories = tf.constant(log["histories"][:, -length:])
        rows = tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
        candidates, labels = tf.constant(log["candidates"]), tf.constant(log["labels"])

        def made(some: Any) -> tuple[dict[str, Any], dict[str, Any]]:
            features = {
                "group": tf.gather(candidates, some),
                "seen__group": tf.gather(histories, some // _CANDIDATES),
            }
            return features, dict.fromkeys(tasks, tf.gather(labels, some))

        return rows.map(made).prefetch(1)

    count = len(train["labels"])
    seconds = []
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(count)
        started = time.process_time()
        model.fit(batches(train, order), verbose=0)
        seconds.append((time.process_time() - started) / -(-count // batch_size))
    order = np.arange(len(test["labels"]))
    answers = model.predict(batches(test, order).map(lambda features, _: features), verbose=0)
    return roc_auc(test["labels"], answers["click"].ravel()), min(seconds)


if __name__ == "__main__":
    typer.run(main)
