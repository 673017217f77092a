"""Survival between the cut points of a discrete model, and what follows from it.

Every function takes `xp`, the namespace it computes in: `numpy` for metrics, `keras.ops` for losses and serving, so
that the two cannot differ. They read the logarithm of survival at the right edges of K intervals, the first of which
starts at time 0 with survival 1. Beyond the last edge, the horizon, nothing is known and survival stays what it is.

Shapes: N rows, K intervals, M times.
"""

from typing import Any, Literal, TypeAlias

import numpy as np

Interpolation: TypeAlias = Literal["constant_density", "constant_hazard"]
INTERPOLATIONS = ("constant_density", "constant_hazard")
_FLAT = 1e-6
"""Hazard of an interval below which its survival is taken for constant: the quotients below are 0 / 0 there."""


def log_survival_at(xp: Any, log_survival: Any, edges: Any, times: Any, interpolation: Interpolation) -> Any:
    """Returns `log S(t)`, `(N, M)`.

    Inside an interval, at its share u, `constant_density` is `S = S_left + u (S_right - S_left)`, as if events were
    spread evenly, and `constant_hazard` is `S = S_left^(1 - u) S_right^u`. They agree at the edges.

    Args:
        xp: module. `numpy` or `keras.ops`.
        log_survival: `(N, K)`, at the right edges, not rising.
        edges: `(K,)`, ascending, above 0.
        times: `(N, M)`, at least 0.
        interpolation: str. `"constant_density"` or `"constant_hazard"`.

    Example:

    >>> half = np.log([[0.5]])
    >>> np.exp(log_survival_at(np, half, [2.0], [[0.0, 1.0, 2.0, 9.0]], "constant_density")).round(2).tolist()
    [[1.0, 0.75, 0.5, 0.5]]

    Reference:
        Kvamme and Borgan 2019, https://arxiv.org/abs/1910.06724, section 3.3 (CDI and CHI).
    """
    left, fall, share, _ = _place(xp, log_survival, edges, times)
    if interpolation == "constant_hazard":
        return left + share * fall
    # At an edge the formula is log(1 - 1) once the fall is below float32's resolution; there it is the edge's value.
    at_edge = share >= 1.0
    inside = xp.where(at_edge, xp.zeros_like(share), share)
    return left + xp.where(at_edge, fall, xp.log1p(inside * xp.expm1(fall)))


def lifetime_until(xp: Any, log_survival: Any, edges: Any, times: Any, interpolation: Interpolation) -> Any:
    """Returns the expected lifetime within the first t, the integral of S from 0 to t, `(N, M)`.

    At the horizon it is the restricted mean lifetime. Arguments: see `log_survival_at`.

    Example:

    >>> lifetime_until(np, np.log([[0.5]]), [2.0], [[2.0]], "constant_density").round(2).tolist()
    [[1.5]]
    """
    left, fall, share, interval = _place(xp, log_survival, edges, times)
    widths = np.diff(edges, prepend=0.0)
    ones = xp.ones_like(log_survival)
    starts = xp.concatenate([xp.zeros_like(log_survival[:, :1]), log_survival[:, :-1]], axis=1)
    whole = _area(xp, starts, log_survival - starts, ones, interpolation) * xp.array(widths, ones.dtype)
    before = xp.cumsum(whole, axis=1) - whole
    width = xp.take(xp.array(widths, ones.dtype), interval, axis=0)
    return xp.take_along_axis(before, interval, axis=1) + width * _area(xp, left, fall, share, interpolation)


def median_lifetime(xp: Any, log_survival: Any, edges: Any, interpolation: Interpolation) -> Any:
    """Returns when S reaches one half, `(N,)`; the horizon where it never does. Arguments: see `log_survival_at`.

    Example:

    >>> median_lifetime(np, np.log([[0.6, 0.2], [0.9, 0.8]]), [2.0, 6.0], "constant_density").round(2).tolist()
    [3.0, 6.0]
    """
    half = float(np.log(0.5))
    number = len(edges)
    passed = xp.sum(xp.where(log_survival > half, 1, 0), axis=1)  # (N,), intervals that end above one half
    interval = xp.minimum(passed, number - 1)[:, None]
    left_edges, widths = np.append(0.0, edges[:-1]), np.diff(edges, prepend=0.0)
    padded = xp.concatenate([xp.zeros_like(log_survival[:, :1]), log_survival], axis=1)
    left = xp.take_along_axis(padded, interval, axis=1)[:, 0]
    fall = xp.take_along_axis(padded, interval + 1, axis=1)[:, 0] - left
    gap = half - left
    if interpolation == "constant_density":
        gap, fall = xp.expm1(gap), xp.expm1(fall)
    share = xp.clip(gap / xp.minimum(fall, -_FLAT), 0.0, 1.0)
    start = xp.take(xp.array(left_edges, left.dtype), interval[:, 0], axis=0)
    width = xp.take(xp.array(widths, left.dtype), interval[:, 0], axis=0)
    return xp.where(passed < number, start + share * width, xp.ones_like(start) * float(edges[-1]))


def _place(xp: Any, log_survival: Any, edges: Any, times: Any) -> tuple[Any, Any, Any, Any]:
    """Of every time: log S at its interval's start, its fall over the interval, the share passed, the interval."""
    times = xp.array(times, log_survival.dtype)
    right = np.asarray(edges, np.float64)
    left_edges, widths = np.append(0.0, right[:-1]), np.diff(right, prepend=0.0)
    if xp is np:  # a search keeps no (N, M, K), which metrics of many rows and times could not hold
        passed = np.searchsorted(right, times)
    else:
        passed = xp.sum(xp.where(times[..., None] > xp.array(right, times.dtype), 1, 0), axis=-1)
    interval = xp.minimum(passed, len(right) - 1)
    start = xp.take(xp.array(left_edges, times.dtype), interval, axis=0)
    width = xp.take(xp.array(widths, times.dtype), interval, axis=0)
    share = xp.clip((times - start) / width, 0.0, 1.0)
    # The right edge exactly, whatever the division rounds to: an event there is in this interval's whole.
    share = xp.where(times >= xp.take(xp.array(right, times.dtype), interval, axis=0), xp.ones_like(share), share)
    padded = xp.concatenate([xp.zeros_like(log_survival[:, :1]), log_survival], axis=1)
    left = xp.take_along_axis(padded, interval, axis=1)
    return left, xp.take_along_axis(padded, interval + 1, axis=1) - left, share, interval


def _area(xp: Any, left: Any, fall: Any, share: Any, interpolation: Interpolation) -> Any:
    """The integral of S over the first `share` of an interval of width 1."""
    if interpolation == "constant_density":
        return xp.exp(left) * (share + 0.5 * share * share * xp.expm1(fall))
    hazard = xp.maximum(-fall, _FLAT)
    return -xp.exp(left) * xp.expm1(-hazard * share) / hazard
