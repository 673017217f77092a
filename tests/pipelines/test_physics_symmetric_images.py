"""Turned samples are samples: the solver finds the same fields, in the same domain."""

from dataclasses import replace

import numpy as np
import pytest

from tfmtl.operators import OperatorData
from tfmtl.pipelines.physics import darcy
from tfmtl.pipelines.physics.symmetric_images import SYMMETRIES, symmetric_images

CELLS = 16
DIFFERENT = {"square": 8, "circle": 8, "cross": 8, "triangle": 2, "ell": 2}


def test_the_symmetries_are_eight_different_ones() -> None:
    image = np.arange(9).reshape(1, 3, 3)
    assert len({way.of(image).tobytes() for way in SYMMETRIES}) == 8
    np.testing.assert_array_equal(SYMMETRIES[0].of(image), image)


@pytest.mark.parametrize("name", DIFFERENT)
def test_every_image_solves_the_problem_in_its_domain(name: str) -> None:
    images = symmetric_images(darcy.samples(name, 1, 0, CELLS))
    assert len(images) == 8
    assert len({field.tobytes() for field in images.inputs["log_k"]}) == DIFFERENT[name]
    domain = darcy.geometry(name, CELLS)
    for row in range(8):
        np.testing.assert_array_equal(images.inputs["geometry"][row] > 0, domain)
        assert images.mask is not None
        np.testing.assert_array_equal(images.mask[row].reshape(CELLS, CELLS), domain)
        solved = darcy.solve(np.exp(images.inputs["log_k"][row].astype(np.float64)), domain)
        np.testing.assert_allclose(images.targets[row].reshape(CELLS, CELLS), solved, rtol=1e-4, atol=1e-9)


def test_tasks_keep_their_shares() -> None:
    data = OperatorData.join(darcy.samples("square", 2, 0, CELLS), darcy.samples("triangle", 3, 0, CELLS))
    images = symmetric_images(data)
    assert images.task_names == data.task_names
    assert np.bincount(images.tasks).tolist() == [16, 24]


def test_a_task_of_two_domains_is_refused() -> None:
    data = OperatorData.join(darcy.samples("square", 2, 0, CELLS), darcy.samples("triangle", 2, 0, CELLS))
    mixed = replace(data, task_names=("all",), tasks=np.zeros(4, np.int32))
    with pytest.raises(
        ValueError, match=r"symmetric_images: `geometry` must be one in .all.\. Received: geometry=.2 domains"
    ):
        symmetric_images(mixed)
