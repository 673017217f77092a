"""What follows from a survival curve: the answers of a survival task, written once for NumPy and the graph.

Every function takes `xp`, the namespace it computes in, and the logarithm of survival at the right edges of K
intervals, as `tfmtl.survival.interpolation` does.

Shapes: B rows, K intervals, M times.
"""

from typing import Any

from tfmtl.survival.interpolation import Interpolation, lifetime_until, log_survival_at, median_lifetime

_LEAST_LOG = -80.0  # e^-80: smaller numbers underflow in float32


def curve_answers(xp: Any, log_survival: Any, edges: Any, interpolation: Interpolation) -> dict[str, Any]:
    """Returns the answers by suffix, row by row.

    `""` is the expected lifetime up to the horizon, `(B,)`; `"survival"` and `"hazard"` are at and in the intervals,
    `(B, K)`; `"median"` is when survival reaches one half, the horizon where it does not, `(B,)`.

    Args:
        xp: module. `numpy` or `keras.ops`.
        log_survival: `(B, K)`, at the right edges, not rising.
        edges: `(K,)`, ascending, above 0.
        interpolation: str. `"constant_density"` or `"constant_hazard"`.

    Example:

    >>> import numpy as np
    >>> answers = curve_answers(np, np.log([[0.5, 0.25]]), [2.0, 4.0], "constant_density")
    >>> {suffix: values[0].round(3).tolist() for suffix, values in answers.items()}
    {'': 2.25, 'survival': [0.5, 0.25], 'hazard': [0.5, 0.5], 'median': 2.0}
    """
    before = xp.concatenate([xp.zeros_like(log_survival[:, :1]), log_survival[:, :-1]], axis=1)
    logs = bounded(xp, log_survival)
    whole = xp.ones_like(logs[:, :1]) * edges[-1]
    return {
        "": lifetime_until(xp, logs, edges, whole, interpolation)[:, 0],
        "survival": xp.exp(logs),
        "hazard": -xp.expm1(log_survival - before),
        "median": median_lifetime(xp, logs, edges, interpolation),
    }


def survival_at_age(xp: Any, log_survival: Any, edges: Any, times: Any, ages: Any, interpolation: Interpolation) -> Any:
    """Returns the chance to live another `times` `(B, M)` at the ages `(B,)`, `S(age + t) / S(age)`: `(B, M)`.

    Example:

    >>> import numpy as np
    >>> logs, times, ages = np.log([[0.5, 0.25]]), np.array([[2.0]]), np.array([2.0])
    >>> survival_at_age(np, logs, [2.0, 4.0], times, ages, "constant_density").round(3).tolist()
    [[0.5]]
    """
    at = xp.concatenate([ages[:, None], ages[:, None] + times], axis=1)
    found = log_survival_at(xp, bounded(xp, log_survival), edges, at, interpolation)
    return xp.exp(found[:, 1:] - found[:, :1])


def remaining_life(xp: Any, log_survival: Any, edges: Any, ages: Any, interpolation: Interpolation) -> Any:
    """Returns the expected rest of life within the horizon at the ages `(B,)`, `(B,)`; 0 beyond it.

    Example:

    >>> import numpy as np
    >>> remaining_life(np, np.log([[0.5, 0.25]]), [2.0, 4.0], np.array([2.0]), "constant_density").round(3).tolist()
    [1.5]
    """
    logs, ages = bounded(xp, log_survival), ages[:, None]
    at = xp.concatenate([ages, xp.ones_like(ages) * edges[-1]], axis=1)
    area = lifetime_until(xp, logs, edges, at, interpolation)
    alive = log_survival_at(xp, logs, edges, ages, interpolation)[:, 0]
    return xp.maximum(area[:, 1] - area[:, 0], 0.0) / xp.exp(alive)


def bounded(xp: Any, log_survival: Any) -> Any:
    """Returns the logarithms, kept where float32 can hold their exponential."""
    return xp.maximum(log_survival, _LEAST_LOG)
