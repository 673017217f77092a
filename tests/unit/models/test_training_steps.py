"""What a training step does with the tasks' gradients, against gradients of each task's loss taken one by one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny_problem import tiny_inputs, tiny_model
from tests.unit.models.one_step import PRESETS, assert_close, mine, step_of
from tests.unit.models.random_batch import random_batch
from tfmtl.balancing import Balancer
from tfmtl.core.types import Tensor
from tfmtl.models import MultiTaskModel

TASKS = 3


class Given(Balancer):
    """Weighs the tasks by what it is given, and keeps what it was told."""

    def __init__(self, weights: list[float], reads: str = "gramian") -> None:
        super().__init__()
        self.given = weights
        self.uses_gramian = reads == "gramian"
        self.uses_next_losses = reads == "next losses"

    def _weights(self, losses: Tensor, gramian: Tensor | None, present: Tensor) -> Tensor:
        self.seen = {"losses": losses, "gramian": gramian, "present": present}
        return tf.constant(self.given)

    def update(self, losses: Tensor, next_losses: Tensor) -> None:
        self.updated = (losses.numpy(), next_losses.numpy())


def of_each_task(model: MultiTaskModel) -> list[list[np.ndarray]]:
    """The gradient of every task's loss alone: the step with the other tasks' losses times zero."""
    return [step_of(model, Given(list(row), "losses")) for row in np.eye(TASKS, dtype="float32")]


@pytest.mark.parametrize("case", PRESETS)
def test_gramian_and_weighted_step_follow_from_each_tasks_gradient(case: str) -> None:
    preset, options = PRESETS[case]
    model = tiny_model(tiny_inputs(), preset, **options)
    plain = step_of(model, None)
    alone = of_each_task(model)
    assert_close([np.sum(parts, axis=0) for parts in zip(*alone, strict=True)], plain)

    weights = [0.5, 2.0, 3.0]
    balancer = Given(weights)
    weighted = step_of(model, balancer)
    gramian = np.zeros((TASKS, TASKS))
    expected = []
    for is_mine, parts in zip(mine(model), zip(*alone, strict=True), strict=True):
        matrix = np.stack([part.ravel() for part in parts]).astype("float64")
        gramian += 0.0 if is_mine else matrix @ matrix.T
        factors = np.ones(TASKS) if is_mine else np.array(weights)
        expected.append((factors @ matrix).reshape(parts[0].shape))
    np.testing.assert_allclose(balancer.seen["gramian"], gramian, rtol=1e-4, atol=1e-6 * gramian.max())
    assert_close(weighted, expected)
    ones = step_of(model, Given([1.0] * TASKS), balance_at="representation")
    assert_close(ones, plain)


ENCODERS = {f"dtrn, {encoder} encoder": ("dtrn", {"encoder": encoder}) for encoder in ("shared", "independent")}


@pytest.mark.parametrize("case", ["mmoe", "ple", "cgc", "dtrn", "dephn", "apem", *ENCODERS])
def test_private_weights_are_read_by_one_task_each(case: str) -> None:
    """A part of a private weight moves one task's loss at most; some part of every other weight moves several."""
    preset, options = {**PRESETS, **ENCODERS}[case]
    chain = {"chain": "none"} if preset == "apem" else {}
    model = tiny_model(tiny_inputs(), preset, **options, **chain)
    alone = of_each_task(model)
    found = []
    for parts in zip(*alone, strict=True):
        moved = sum((np.abs(part) > 1e-9).astype(int) for part in parts)
        found.append(bool(moved.max() <= 1))
    paths = [weight.path for weight in model.trainable_weights]
    assert dict(zip(paths, found, strict=True)) == dict(zip(paths, mine(model), strict=True))


def test_representation_is_what_all_tasks_read_last() -> None:
    """Of a shared bottom: its output. The Gramian of the tasks' gradients there, from an independent tape."""
    model = tiny_model(tiny_inputs(), "shared_bottom")
    balancer = Given([0.5, 2.0, 3.0])
    weighted = step_of(model, balancer, balance_at="representation")
    features, labels = random_batch(model.inputs)
    with tf.GradientTape(persistent=True) as tape:
        common = model.sharing.network(model.bottom(model.embedding(features)))[:, :, 0]  # (B, 1, H')
        tape.watch(common)
        raw = model.head_outputs(tf.repeat(common, TASKS, axis=1))
        losses = model.task_losses(raw, labels)
        parts = [task.weight * losses[task.name] for task in model.inputs.problem.tasks]
    rows = np.stack([np.ravel(tape.gradient(part, common)) for part in parts])
    np.testing.assert_allclose(balancer.seen["gramian"], rows @ rows.T, rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(balancer.seen["losses"], parts, rtol=1e-5)
    # What lies below takes the weighted gradient, what lies above its own.
    below = [not is_mine for is_mine in mine(model)]
    expected = step_of(model, Given([0.5, 2.0, 3.0], "losses"))
    plain = step_of(model, None)
    assert_close(weighted, [e if under else p for e, p, under in zip(expected, plain, below, strict=True)])


@pytest.mark.parametrize(
    ("preset", "shape"),
    [
        ("mmoe", (None, 1, 8, 8)),
        ("shared_bottom", (None, 1, 8)),
        ("ple", (None, 1, 2, 8)),
        ("single_task", None),  # the bottom's output
        ("dtrn", None),  # the looked-up rows
    ],
)
def test_representation_shape(preset: str, shape: tuple | None) -> None:
    assert tiny_model(tiny_inputs(), preset).representation_shape() == shape


def test_a_task_without_labels_is_absent() -> None:
    model = tiny_model(tiny_inputs())
    balancer = Given([1.0] * TASKS)
    step_of(model, balancer, {"watch": tf.fill([16], np.nan)})
    np.testing.assert_array_equal(balancer.seen["present"], [True, True, False])
    assert balancer.seen["losses"][2] == 0.0
    assert not np.any(balancer.seen["gramian"][2])


def test_what_is_no_task_s_loss_is_not_weighed() -> None:
    model = tiny_model(tiny_inputs(), "mmoe", load_balance_weight=5.0)
    plain = step_of(model, None)
    assert_close(step_of(model, Given([1.0] * TASKS)), plain)
    for balance_at in ("parameters", "representation"):
        rest = step_of(model, Given([0.0] * TASKS), balance_at=balance_at)
        gate = [step for step, w in zip(rest, model.trainable_weights, strict=True) if "softmax_gate" in w.path]
        assert max(np.max(np.abs(step)) for step in gate) > 1e-3
    assert_close(step_of(model, Given([1.0] * TASKS), balance_at="representation"), plain)


def test_losses_after_the_step_are_of_the_same_batch() -> None:
    model = tiny_model(tiny_inputs())
    balancer = Given([1.0] * TASKS, "next losses")
    features, labels = random_batch(model.inputs)
    model.compile(keras.optimizers.SGD(0.1), balancing=balancer, run_eagerly=True)
    before = model.task_losses(model.raw_outputs(features), labels)
    model.train_on_batch(features, labels)
    after = model.task_losses(model.raw_outputs(features), labels)
    for seen, losses in zip(balancer.updated, (before, after), strict=True):
        np.testing.assert_allclose(
            seen, [task.weight * losses[task.name] for task in model.inputs.problem.tasks], rtol=1e-5
        )
    assert balancer.updated[0].sum() > balancer.updated[1].sum()


@pytest.mark.parametrize("balance_at", ["parameters", "representation"])
def test_xla_computes_the_same(balance_at: str) -> None:
    model = tiny_model(tiny_inputs())
    plain = step_of(model, Given([0.5, 2.0, 3.0]), balance_at=balance_at)
    assert_close(
        step_of(model, Given([0.5, 2.0, 3.0]), balance_at=balance_at, run_eagerly=False, jit_compile=True), plain
    )


def test_where_to_balance_is_checked() -> None:
    with pytest.raises(ValueError, match=r"`balance_at` must be one of .*Received: balance_at='weights'"):
        tiny_model(tiny_inputs()).compile(balance_at="weights")
