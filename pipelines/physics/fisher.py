"""Reaction and diffusion on a ring: one equation family, a task for each form of the reaction."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tfmtl.operators.operator_data import OperatorData
from tfmtl.pipelines.physics.gaussian_fields import gaussian_fields
from tfmtl.schema.checks import check_one_of, check_positive_int, check_positive_number

Floats = npt.NDArray[np.float64]

DIFFUSION = 0.01
RATE = 5.0  # makes the reaction matter within the horizon
HORIZON = 1.0
CELLS, TIMES = 64, 20
FORMS = ("F1", "F2", "F3", "F4")
_STEP = 0.0025  # at most
_LENGTH = 0.2
_AMPLITUDES = np.linspace(0.1, 1.0, 10)
_DECAYS = np.linspace(0.5, 2.0, 10)


def coefficients(form: str) -> Floats:
    """The reactions of a form: `(n, 4)`, rows c of `5 (c1 u + c2 u^2 + c3 u^3 + c4 u^4)`.

    F1 `a (u - u^2)`, F2 `a (u - u^3)`, F3 `a (u^2 - u^3)`, each for 10 values of a; F4 the expansion of
    `a u (1 - u) exp(-b (1 - u))` to second order in `b u`, for 10 values of a times 10 of b.

    Raises:
        ValueError: there is no such form.
    """
    check_one_of("coefficients", "form", form, FORMS)
    if form != "F4":
        row = {"F1": (1, -1, 0, 0), "F2": (1, 0, -1, 0), "F3": (0, 1, -1, 0)}[form]
        return _AMPLITUDES[:, None] * np.array(row, np.float64)
    a, b = (grid.ravel() for grid in np.meshgrid(_AMPLITUDES, _DECAYS, indexing="ij"))
    terms = (np.ones_like(b), b - 1.0, b * (0.5 * b - 1.0), -0.5 * b**2)
    return np.stack([a * np.exp(-b) * term for term in terms], axis=1)


def solve(
    start: Floats,
    reaction: Floats,
    step: float = _STEP,
    forcing: Callable[[float, Floats], Floats] | None = None,
) -> Floats:
    """Solves `u_t = 0.01 u_xx + 5 (c1 u + ... + c4 u^4)` on [0, 1), periodic, to t = 1.

    Strang splitting, of second order: diffusion exact in Fourier space, reaction by the Runge-Kutta method of fourth
    order.

    Shapes: N samples, X cells.

    Args:
        start: float `(N, X)`, u at t = 0 and x = 0, 1/X, ...
        reaction: float `(N, 4)`, the coefficients c.
        step: float. Largest step in time. Defaults to `0.0025`.
        forcing: f(t, x), added on the right-hand side. Defaults to `None`, none.

    Returns:
        float64 `(N, 20, X)`: u at 20 equally spaced times, the first one 0.

    Raises:
        ValueError: `step` is not positive.
    """
    check_positive_number("solve", "step", step)
    u = np.array(start, np.float64)
    cells = u.shape[1]
    x = np.arange(cells) / cells
    gap = HORIZON / (TIMES - 1)
    substeps = int(np.ceil(gap / step - 1e-9))
    dt = gap / substeps
    waves = 2.0 * np.pi * np.fft.rfftfreq(cells, d=1.0 / cells)
    half = np.exp(-0.5 * dt * DIFFUSION * waves**2)
    c1, c2, c3, c4 = (RATE * reaction[:, k, None] for k in range(4))

    def rate(u: Floats, t: float) -> Floats:
        own: Floats = u * (c1 + u * (c2 + u * (c3 + u * c4)))
        return own if forcing is None else own + forcing(t, x)

    fields = [u]
    for number in range(substeps * (TIMES - 1)):
        t = number * dt
        u = np.fft.irfft(np.fft.rfft(u) * half, cells)
        k1 = rate(u, t)
        k2 = rate(u + 0.5 * dt * k1, t + 0.5 * dt)
        k3 = rate(u + 0.5 * dt * k2, t + 0.5 * dt)
        k4 = rate(u + dt * k3, t + dt)
        u = u + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        u = np.fft.irfft(np.fft.rfft(u) * half, cells)
        if (number + 1) % substeps == 0:
            fields.append(u)
    return np.stack(fields, axis=1)


def exact_error(step: float = _STEP) -> float:
    """The solver's largest error against `u = 1/2 + 1/4 sin(2 pi x) exp(-t)`, with the forcing that makes it exact.

    Args:
        step: float. Largest step in time. Defaults to `0.0025`.
    """
    reaction = np.array([[1.0, -1.0, 0.0, 0.0]])

    def exact(t: float | Floats, x: Floats) -> Floats:
        return 0.5 + 0.25 * np.sin(2.0 * np.pi * x) * np.exp(-t)

    def forcing(t: float, x: Floats) -> Floats:
        wave = exact(t, x) - 0.5
        u = 0.5 + wave
        return -wave + DIFFUSION * (2.0 * np.pi) ** 2 * wave - RATE * (u - u**2)

    x, t = np.arange(CELLS) / CELLS, np.linspace(0.0, HORIZON, TIMES)
    solved = solve(exact(0.0, x)[None], reaction, step, forcing)
    return float(np.max(np.abs(solved[0] - exact(t[:, None], x))))


def points() -> Floats:
    """The query points (t, x), `(1280, 2)`, all x of a time before the next time."""
    t, x = np.meshgrid(np.linspace(0.0, HORIZON, TIMES), np.arange(CELLS) / CELLS, indexing="ij")
    return np.stack([t.ravel(), x.ravel()], axis=1)


def samples(form: str, count: int, seed: int) -> OperatorData:
    """Solved problems of one form: reactions in turn, each from a start of its own.

    The start is `sigmoid(1.5 g)`, g a smooth Gaussian field. A form's samples do not depend on which other forms are
    made with the same seed.

    Args:
        form: str. "F1" to "F4".
        count: int. How many.
        seed: int. Of the starts, from 0.

    Returns:
        `OperatorData` with the inputs `coefficients` `(N, 4)` and `initial` `(N, 64)`, the points (t, x) and the fields
        `(N, 1280)`.

    Raises:
        ValueError: there is no such form, or `count` is not positive.
    """
    rows = coefficients(form)
    check_positive_int("samples", "count", count)
    generator = np.random.RandomState([seed, FORMS.index(form)])
    reaction = rows[np.arange(count) % len(rows)]
    start = 1.0 / (1.0 + np.exp(-1.5 * gaussian_fields(count, (CELLS,), (1.0,), _LENGTH, generator)))
    fields = solve(start, reaction)
    inputs = {"coefficients": reaction, "initial": start}
    return OperatorData.of_task(form, inputs, points(), fields.reshape(count, -1))
