"""Flow through a porous medium: one equation, a task for each shape of the domain."""

import numpy as np
import numpy.typing as npt

from tfmtl.operators.operator_data import OperatorData
from tfmtl.pipelines.physics.gaussian_fields import gaussian_fields
from tfmtl.pipelines.physics.need_scipy import need_scipy
from tfmtl.schema.checks import check_one_of, check_positive_int, error_text

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SOURCES = ("circle", "square", "triangle")
TARGETS = ("cross", "ell")
GEOMETRIES = SOURCES + TARGETS
_LENGTH = 0.2


def centers(cells: int) -> tuple[Floats, Floats]:
    """x and y of the cells' centers on the unit square, `(n, n)` each, x along the first axis."""
    line = (np.arange(cells) + 0.5) / cells
    x, y = np.meshgrid(line, line, indexing="ij")
    return x, y


def geometry(name: str, cells: int) -> Mask:
    """Which cells' centers lie inside of a domain, `(n, n)`.

    The unit square; the circle in it; the triangle (0, 0), (1, 0), (1/2, sqrt(3)/2); the square without a cross of bars
    0.12 x 0.5 about its middle; the square without its upper right quarter ("ell").

    Raises:
        ValueError: there is no such domain, or the cells are too coarse for it.
    """
    check_one_of("geometry", "name", name, GEOMETRIES)
    check_positive_int("geometry", "cells", cells)
    if cells < 8:
        raise ValueError(error_text("geometry", "cells", "be at least 8", cells, "A cross needs cells below 0.12."))
    x, y = centers(cells)
    across, along = np.abs(x - 0.5), np.abs(y - 0.5)
    slope = np.sqrt(3.0)
    inside: dict[str, Mask] = {
        "square": np.ones_like(x, bool),
        "circle": (x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.25,
        "triangle": (y < slope * x) & (y < slope * (1.0 - x)),
        "cross": ~(((across < 0.06) & (along < 0.25)) | ((across < 0.25) & (along < 0.06))),
        "ell": ~((x > 0.5) & (y > 0.5)),
    }
    return inside[name]


def banded_matrix(k: Floats, mask: Mask) -> Floats:
    """`-div(k grad u)` on the cells inside, u = 0 on the border: the lower half of a symmetric matrix, by diagonals.

    Finite volumes with five points: between two cells inside flows `2 k1 k2 / (k1 + k2)` times their difference; to
    a cell or border outside, half a cell away and 0, flows `2 k u`. Cells outside have u = 0.

    Args:
        k: float `(n, n)`.
        mask: bool `(n, n)`.

    Returns:
        float64 `(n + 1, n * n)`, row j the j-th lower diagonal, cells in row-major order.
    """
    n = len(k)
    inside = np.pad(mask, 1)
    padded = np.pad(k, 1, constant_values=1.0)
    own = padded[1:-1, 1:-1]
    diagonal = np.zeros((n, n))
    faces = {}
    for name, (di, dj) in {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}.items():
        rows, columns = slice(1 + di, n + 1 + di), slice(1 + dj, n + 1 + dj)
        other, both = padded[rows, columns], inside[rows, columns] & mask
        faces[name] = np.where(both, 2.0 * own * other / (own + other), 0.0)
        diagonal += np.where(both, faces[name], np.where(mask, 2.0 * own, 0.0))
    band = np.zeros((n + 1, n * n))
    band[0] = np.where(mask, diagonal * n**2, 1.0).ravel()
    band[1] = -(n**2) * faces["right"].ravel()
    band[n] = -(n**2) * faces["down"].ravel()
    return band


def solve(k: Floats, mask: Mask, source: Floats | float = 1.0) -> Floats:
    """Solves `-div(k grad u) = source` inside, u = 0 on the border and outside.

    Args:
        k: float `(n, n)`, above 0.
        mask: bool `(n, n)`.
        source: float or `(n, n)`. Defaults to `1.0`.

    Returns:
        float64 `(n, n)`.

    Raises:
        ValueError: `k` is not positive and finite everywhere inside.
        ModuleNotFoundError: SciPy is not installed.
    """
    if not np.all(np.isfinite(k[mask])) or np.any(k[mask] <= 0):
        raise ValueError(error_text("solve", "k", "be positive and finite", float(k[mask].min()), "Take exp(log k)."))
    right = np.where(mask, source, 0.0)
    return np.asarray(need_scipy("linalg").solveh_banded(banded_matrix(k, mask), right.ravel(), lower=True)).reshape(
        k.shape
    )


def exact_error(cells: int) -> float:
    """Relative L2 error on the square for `u = sin(pi x) sin(pi y)`, `k = 1 + sin(2 pi x) cos(2 pi y) / 2`."""
    x, y = centers(cells)
    u = np.sin(np.pi * x) * np.sin(np.pi * y)
    k = 1.0 + 0.5 * np.sin(2.0 * np.pi * x) * np.cos(2.0 * np.pi * y)
    k_x = np.pi * np.cos(2.0 * np.pi * x) * np.cos(2.0 * np.pi * y)
    k_y = -np.pi * np.sin(2.0 * np.pi * x) * np.sin(2.0 * np.pi * y)
    u_x = np.pi * np.cos(np.pi * x) * np.sin(np.pi * y)
    u_y = np.pi * np.sin(np.pi * x) * np.cos(np.pi * y)
    source = -(k_x * u_x + k_y * u_y) + 2.0 * np.pi**2 * k * u
    solved = solve(k, geometry("square", cells), source)
    return float(np.linalg.norm(solved - u) / np.linalg.norm(u))


def circle_error(cells: int) -> float:
    """Relative L2 error on the circle for k = 1, where `u = (1/4 - r^2) / 4`: with the steps of the border."""
    x, y = centers(cells)
    mask = geometry("circle", cells)
    u = np.where(mask, 0.25 * (0.25 - (x - 0.5) ** 2 - (y - 0.5) ** 2), 0.0)
    return float(np.linalg.norm(solve(np.ones_like(u), mask) - u) / np.linalg.norm(u))


def points(cells: int) -> Floats:
    """The cells' centers, `(n * n, 2)`, in row-major order."""
    return np.stack([axis.ravel() for axis in centers(cells)], axis=1)


def samples(name: str, count: int, seed: int, cells: int = 32) -> OperatorData:
    """Solved problems on one domain, `log k` a smooth Gaussian field.

    Args:
        name: str. The domain, see `geometry`.
        count: int. How many.
        seed: int. Of the fields, from 0.
        cells: int. Cells n of a side. Defaults to `32`.

    Returns:
        `OperatorData` with the inputs `log_k` and `geometry`, `(N, n, n)` each, the cells' centers as points, u
        `(N, n * n)` and the mask.

    Raises:
        ValueError: there is no such domain, the cells are too coarse for it, or `count` is not positive.
        ModuleNotFoundError: SciPy is not installed.
    """
    mask = geometry(name, cells)
    check_positive_int("samples", "count", count)
    generator = np.random.RandomState([seed, GEOMETRIES.index(name)])
    # A box twice as large, so that opposite sides know nothing of each other.
    log_k = gaussian_fields(count, (2 * cells, 2 * cells), (2.0, 2.0), _LENGTH, generator)[:, :cells, :cells]
    fields = np.stack([solve(np.exp(field), mask) for field in log_k])
    inputs = {"log_k": log_k, "geometry": np.broadcast_to(mask, log_k.shape)}
    flat = np.broadcast_to(mask.ravel(), (count, cells * cells)).copy()
    return OperatorData.of_task(name, inputs, points(cells), fields.reshape(count, -1), flat)
