"""Mirror images of samples are samples: the solver finds the same fields."""

import numpy as np

from tfmtl.pipelines.physics import darcy, plate
from tfmtl.pipelines.physics.mirrored import mirrored

CELLS = (42, 21, 2)


def test_darcy_from_left_to_right() -> None:
    data = darcy.samples("triangle", 2, 0, cells=16)
    both = mirrored(data, (16, 16), 0)
    assert len(both) == 4
    for turned in (2, 3):
        mask = both.inputs["geometry"][turned] > 0
        np.testing.assert_array_equal(mask, darcy.geometry("triangle", 16))
        solved = darcy.solve(np.exp(both.inputs["log_k"][turned].astype(np.float64)), mask)
        np.testing.assert_allclose(both.targets[turned].reshape(16, 16), solved, rtol=1e-4, atol=1e-9)


def test_plate_from_front_to_back() -> None:
    first, last = (plate.samples(CELLS, (place,)) for place in (1, 6))  # at .357 and .643
    turned = mirrored(first, CELLS, 1, {"design": lambda design: design * [1, -1] + [0, 1]}).rows(slice(1, None, 2))
    np.testing.assert_array_equal(turned.tasks, last.tasks)
    np.testing.assert_allclose(turned.inputs["design"], last.inputs["design"], atol=1e-6)
    np.testing.assert_array_equal(turned.mask, last.mask)
    np.testing.assert_array_equal(turned.inputs["geometry"], last.inputs["geometry"])
    np.testing.assert_allclose(turned.targets, last.targets, atol=1e-6)
