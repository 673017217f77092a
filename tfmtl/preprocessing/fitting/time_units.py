"""Units of time, and the plausible times in each."""

import numpy as np

FIRST_YEAR, LAST_YEAR = 1980, 2100
TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}  # a second
_FROM, _TO = 315_532_800, 4_102_444_800  # the first seconds of these years; in no two units do they overlap


def are_plausible(times: np.ndarray, unit: str) -> np.ndarray:
    """Whether each time lies between the first of the years and the beginning of the last, bool."""
    ticks = TICKS[unit]
    return np.asarray((times >= _FROM * ticks) & (times < _TO * ticks))
