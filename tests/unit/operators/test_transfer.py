"""Only what is named moves; the closed form is the best there is."""

import keras
import numpy as np
import pytest

from tests.unit.operators.small_problems import compiled, masked, masked_network, network, waves
from tfmtl.operators import (
    InverseScale,
    MergedBranch,
    MLPBranch,
    named_weights,
    refit_last_layer,
    rehearse,
    relative_l2_errors,
    train_only,
    weight_changes,
    weight_values,
)


def test_names_do_not_depend_on_how_many_layers_were_made() -> None:
    names = set(named_weights(network()))
    assert names == set(named_weights(network()))
    assert {"branch/layers/dense_0/kernel", "trunk/output/bias", "last/kernel", "bias"} <= names
    assert not any("standardize" in name or "coefficients" in name for name in names)
    pair = [MLPBranch(["coefficients"], (5,)), MLPBranch(["initial"], (5,))]
    assert "branch/1/layers/dense_0/bias" in named_weights(network(branch=MergedBranch(pair)))


def test_only_named_weights_move_and_loading_keeps_the_names(tmp_path) -> None:
    data = waves()
    compiled(network(data)).save(tmp_path / "model.keras")
    made = keras.saving.load_model(tmp_path / "model.keras")
    trained = train_only(made, ["last/*", "trunk/output/*"])
    assert trained == ["trunk/output/kernel", "trunk/output/bias", "last/kernel", "last/bias"]
    before = weight_values(made)
    compiled(made).fit(data.batches(8, 3), verbose=0)
    moved = [name for name, change in weight_changes(before, made).items() if change > 0.0]
    assert moved == trained
    assert len(made.trainable_variables) == 4
    assert len(train_only(made, ["*"])) == len(before)


def test_a_name_that_fits_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`names` must name weights of the network. Received: names='lost/\*'. Known"):
        train_only(network(), ["lost/*"])


@pytest.mark.parametrize("hard", [True, False])
def test_refit_is_the_least_squares_solution(hard: bool) -> None:
    data = waves(count=30)
    made = network(data, hard=hard)
    before, after = refit_last_layer(made, data, ridge=0.0)
    errors = relative_l2_errors(data.targets, made(data.features()))
    assert after <= before
    np.testing.assert_allclose(np.mean(errors**2), after, rtol=1e-3)
    # By the normal equations of all unknowns at once.
    hidden = np.asarray(made.hidden(data.inputs), np.float64)
    hidden = np.concatenate([hidden, np.ones((len(hidden), 1))], axis=1)
    gain = data.points[:, :1] if hard else np.ones((len(data.points), 1))
    functions = gain * np.asarray(made.trunk(data.points), np.float64)
    size = np.linalg.norm(data.targets, axis=1)
    columns = (hidden[:, None, :, None] * functions[None, :, None, :] / size[:, None, None, None]).reshape(
        data.targets.size, -1
    )
    base = np.tile(data.inputs["initial"], 4) if hard else data.targets.mean()
    rest = ((data.targets - base) / size[:, None]).ravel()
    best = np.linalg.lstsq(columns, rest, rcond=None)[0]
    assert after <= np.sum((columns @ best - rest) ** 2) / len(size) + 2e-4


@pytest.mark.parametrize("ridge", [0.0, 1e-8, 1e-3, 10.0])
def test_refit_never_raises_the_error_and_moves_nothing_else(ridge: float) -> None:
    data = waves()
    made = network(data)
    kept = weight_values(made)
    for _ in range(2):
        before, after = refit_last_layer(made, data, ridge)
        assert after <= before * (1.0 + 1e-5)
    moved = {name for name, change in weight_changes(kept, made).items() if change > 0.0}
    assert moved == {"last/kernel", "last/bias"}


def test_refit_counts_the_points_inside_and_wants_one_mask() -> None:
    data = masked()
    made = masked_network(data)
    with pytest.raises(ValueError, match=r"`data.mask` must be the same for all samples"):
        refit_last_layer(made, data)
    half = data.rows(slice(0, None, 2))
    _, after = refit_last_layer(made, half)
    np.testing.assert_allclose(np.mean(relative_l2_errors(half.targets, made(half.features())) ** 2), after, rtol=1e-3)
    with pytest.raises(ValueError, match="`ridge` must be at least 0"):
        refit_last_layer(made, half, -1.0)


def test_refit_of_a_scaled_network_does_what_it_says() -> None:
    half = masked().rows(slice(0, None, 2))
    made = masked_network(half, scale=InverseScale("k", "geometry"))
    before, after = refit_last_layer(made, half)
    assert after < before
    np.testing.assert_allclose(np.mean(relative_l2_errors(half.targets, made(half.features())) ** 2), after, rtol=1e-3)


def test_rehearsal_keeps_a_share_of_the_source() -> None:
    target, source = waves(count=9, tasks=("new",)), waves(count=20)
    mixed = rehearse(target, source, 0.25)
    assert len(mixed) == 12
    assert mixed.task_names == ("a", "b", "new")
    assert np.bincount(mixed.tasks).sum() - np.sum(mixed.tasks == 2) == 3
    assert rehearse(target, source, 0.0) is target
    with pytest.raises(ValueError, match="`share` must need at most 40 samples"):
        rehearse(target, source, 0.9)
