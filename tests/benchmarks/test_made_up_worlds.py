"""What the quality benchmarks make up: the world of weightings, and logs with few rows and false labels."""

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.quality.flat_minima import FAMILIES, TASKS, _title, _variant, thinned
from benchmarks.quality.weighting_world import ITEMS, draw_weighting_world


@pytest.mark.parametrize("alike", [0.0, 1.0])
def test_logits_have_the_same_spread_and_their_forms_agree_where_tasks_are_alike(alike: float) -> None:
    world = draw_weighting_world(3, alike)
    np.testing.assert_allclose(world.directions @ world.directions.T, 1.28 * np.eye(4), atol=1e-9)
    items = np.random.default_rng(0).integers(0, ITEMS, (4_000, *world.weights.shape[1:]))
    logits = world.logits(items)
    np.testing.assert_allclose(logits.std(axis=0), 1.6, rtol=0.15)
    np.testing.assert_allclose(logits.mean(axis=0), -0.5, atol=0.15)
    curved = type(world)(world.latents, world.weights, world.forms, 0.0 * world.directions).logits(items)
    correlation = np.corrcoef(curved.T)[np.triu_indices(4, 1)]
    assert np.allclose(correlation, 1.0) if alike == 1.0 else np.abs(correlation).max() < 0.6


def test_a_form_without_linear_part_is_what_remains_of_opposite_events() -> None:
    """h of mirrored vectors is -h, so half the sum of both logits has no linear part."""
    world = draw_weighting_world(0, 0.0)
    items = np.random.default_rng(0).integers(0, ITEMS, (50, *world.weights.shape[1:]))
    mirrored = type(world)(-world.latents, world.weights, world.forms, world.directions)
    curved = type(world)(world.latents, world.weights, world.forms, 0.0 * world.directions)
    np.testing.assert_allclose((world.logits(items) + mirrored.logits(items)) / 2, curved.logits(items))


def log(rows: int = 4_000) -> pa.Table:
    rng = np.random.default_rng(0)
    split = np.array(["train", "valid", "test"])[np.arange(rows) % 3]
    return pa.table(
        {"row": np.arange(rows), "split": split, **{task: rng.integers(0, 2, rows).astype(np.int8) for task in TASKS}}
    )


def test_labels_of_training_rows_alone_are_flipped() -> None:
    rows = log()
    kept = thinned(rows, share=0.5, flipped=0.2)
    split, places = kept["split"].to_numpy(zero_copy_only=False), kept["row"].to_numpy()
    is_train = split == "train"
    assert is_train.sum() == pytest.approx(0.5 * len(rows) / 3, rel=0.1)
    for task in TASKS:
        turned = kept[task].to_numpy() != rows[task].to_numpy()[places]
        assert not turned[~is_train].any()
        assert turned[is_train].mean() == pytest.approx(0.2, abs=0.04)
    same = thinned(rows, share=0.5, flipped=0.0)
    assert same["row"].equals(kept["row"])


def test_rows_of_flat_minima_differ_by_what_they_say_alone() -> None:
    titles = {}
    for name, (gradients, settings) in FAMILIES.items():
        for setting in settings:
            variant = _variant(name, setting, gradients)
            titles[_title(name, variant)] = variant.training.get("ema_momentum")
    assert titles["none"] == 0.0, "averages are the default of training"
    assert titles["SAM 0.05"] == 0.0
    assert titles["weight averaging 0.999"] == 0.999
