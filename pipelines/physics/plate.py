"""A plate with heated holes in three dimensions: one equation, a task for each number of holes."""

import numpy as np
import numpy.typing as npt

from tfmtl.operators.operator_data import OperatorData
from tfmtl.pipelines.physics.need_scipy import need_scipy
from tfmtl.schema.checks import check_number, check_positive_int, error_text

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SIZE = (2.0, 1.0, 0.25)
CELLS = (48, 24, 6)
HOLES = tuple(range(2, 10))
PLACES = np.linspace(0.3, 0.7, 8)
TRAINING_PLACES = (0, 3, 7)
_TOLERANCE = 1e-9


def centers(cells: tuple[int, int, int] = CELLS) -> list[Floats]:
    """x, y and z of the voxels' centers, `cells` each."""
    lines = [(np.arange(n) + 0.5) * side / n for n, side in zip(cells, SIZE, strict=True)]
    return list(np.meshgrid(*lines, indexing="ij"))


def solid(holes: int, place: float, cells: tuple[int, int, int] = CELLS) -> Mask:
    """Which voxels are solid: cylinders run through the plate along z, at y = `place`, evenly spaced in x.

    Args:
        holes: int. Number h of cylinders of radius `0.35 / (h + 1)`.
        place: float. Their y.
        cells: three ints. Voxels along x, y and z. Defaults to `(48, 24, 6)`.

    Returns:
        bool, `cells`.

    Raises:
        ValueError: a cylinder could fall between the voxels' centers, reaches the border, or `holes` is not positive.
    """
    check_positive_int("solid", "holes", holes)
    check_number("solid", "place", place)
    radius = 0.35 / (holes + 1)
    reach = 0.5 * float(np.hypot(SIZE[0] / cells[0], SIZE[1] / cells[1]))  # from the corner of a voxel to its center
    if radius < reach:
        factor = reach / radius
        needed = tuple(int(np.ceil(n * factor)) for n in cells[:2])
        rule = f"be fine enough for a cylinder of radius {radius:.4g}, which else falls between the voxels' centers"
        raise ValueError(error_text("solid", "cells", rule, cells, f"Use at least {needed} along x and y."))
    if not radius < place < SIZE[1] - radius:
        raise ValueError(error_text("solid", "place", "keep the cylinders inside", place, "Use 0.3 to 0.7."))
    x, y, _ = centers(cells)
    middle = 2.0 * np.arange(1, holes + 1) / (holes + 1)
    squares = (x[..., None] - middle) ** 2 + (y[..., None] - place) ** 2
    is_solid: Mask = np.all(squares >= radius**2, axis=-1)
    return is_solid


def solve(mask: Mask, ends: tuple[float, float] = (0.0, 0.0), sides: float | None = 0.0, wall: float = 1.0) -> Floats:
    """Temperature of the solid: Laplace's equation, with given temperatures on faces and walls.

    Finite volumes with seven points; a face at a given temperature lies half a voxel away. Insulated in z.

    Args:
        mask: bool `(X, Y, Z)`, the solid.
        ends: temperatures of the faces x = 0 and x = 2. Defaults to `(0.0, 0.0)`.
        sides: temperature of the faces y = 0 and y = 1; None insulates them. Defaults to `0.0`.
        wall: temperature of the walls of the holes. Defaults to `1.0`.

    Returns:
        float64 `(X, Y, Z)`, 0 outside of the solid.

    Raises:
        RuntimeError: conjugate gradients do not reach 1e-9.
        ModuleNotFoundError: SciPy is not installed.
    """
    sparse, linalg = need_scipy("sparse"), need_scipy("sparse.linalg")
    number = np.cumsum(mask.ravel()).reshape(mask.shape) - 1
    count = int(mask.sum())
    diagonal, right = np.zeros(mask.shape), np.zeros(mask.shape)
    rows, columns, values = [], [], []
    faces = {0: ends, 1: (sides, sides), 2: (None, None)}
    for axis in range(3):
        weight = (mask.shape[axis] / SIZE[axis]) ** 2
        lower = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        upper = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        both = mask[lower] & mask[upper]
        one, other = number[lower][both], number[upper][both]
        rows += [one, other]
        columns += [other, one]
        values += [np.full(2 * len(one), -weight)]
        for here, there in ((lower, upper), (upper, lower)):
            diagonal[here] += weight * both
            at_wall = mask[here] & ~mask[there]
            diagonal[here] += 2.0 * weight * at_wall
            right[here] += 2.0 * weight * wall * at_wall
        for end, temperature in zip((0, -1), faces[axis], strict=True):
            if temperature is not None:
                border = tuple(end if a == axis else slice(None) for a in range(3))
                diagonal[border] += 2.0 * weight
                right[border] += 2.0 * weight * temperature
    own = np.arange(count)
    entries = np.concatenate([*values, diagonal[mask]])
    places = (np.concatenate([*rows, own]), np.concatenate([*columns, own]))
    matrix = sparse.csr_matrix((entries, places), shape=(count, count))
    jacobi = sparse.diags(1.0 / diagonal[mask])
    solved, failed = linalg.cg(matrix, right[mask], rtol=_TOLERANCE, M=jacobi, maxiter=10 * sum(mask.shape) ** 2)
    if failed:
        raise RuntimeError(f"solve: conjugate gradients must reach {_TOLERANCE}. Received: status {failed}.")
    field = np.zeros(mask.shape)
    field[mask] = solved
    return field


def exact_error(cells: tuple[int, int, int] = CELLS) -> float:
    """Largest error of the linear profile between faces of 100 and 20, without holes and with insulated sides."""
    solved = solve(np.ones(cells, bool), (100.0, 20.0), None)
    return float(np.max(np.abs(solved - (100.0 - 40.0 * centers(cells)[0]))))


def points(cells: tuple[int, int, int] = CELLS) -> Floats:
    """The voxels' centers, `(X * Y * Z, 3)`, z the fastest."""
    return np.stack([axis.ravel() for axis in centers(cells)], axis=1)


def samples(cells: tuple[int, int, int] = CELLS, places: tuple[int, ...] = tuple(range(8))) -> OperatorData:
    """All plates with 2 to 9 holes at the chosen places, solved; walls at 1, the faces x and y = 0 and at the end at 0.

    Nothing here is random.

    Args:
        cells: three ints. Voxels along x, y and z. Defaults to `(48, 24, 6)`.
        places: positions in `PLACES` of the holes' y. Defaults to all eight.

    Returns:
        `OperatorData` with a task for each number of holes, the inputs `design` `(N, 2)`, number and place of the holes
        scaled to [0, 1], and `geometry` `(N, X, Y)`, the solid seen from above; the voxels' centers as points.

    Raises:
        ValueError: a voxel is too coarse for a cylinder.
        ModuleNotFoundError: SciPy is not installed.
    """
    parts = []
    for holes in HOLES:
        masks = [solid(holes, float(PLACES[place]), cells) for place in places]
        scaled = (holes - HOLES[0]) / (HOLES[-1] - HOLES[0])
        design = [[scaled, (PLACES[place] - PLACES[0]) / (PLACES[-1] - PLACES[0])] for place in places]
        inputs = {"design": np.array(design), "geometry": np.stack([mask[:, :, 0] for mask in masks])}
        fields = np.stack([solve(mask).ravel() for mask in masks])
        flat = np.stack([mask.ravel() for mask in masks])
        parts.append(OperatorData.of_task(f"{holes} holes", inputs, points(cells), fields, flat))
    return OperatorData.join(*parts)
