"""Values that several features need and one of them makes."""

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np


class Once:
    """Makes each value when it is first asked for.

    Example:

    >>> once = Once()
    >>> once("answer", lambda: 6 * 7), once("answer", lambda: 0)
    (42, 42)
    """

    def __init__(self) -> None:
        self._made: dict[Hashable, Any] = {}

    def __call__(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of this key, made now if it is the first time."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def rising_order(once: Once, values: np.ndarray) -> np.ndarray:
    """The order in which values `(N,)` rise, found once for all who ask with this array."""
    # With the array, so that no other one has its place in memory meanwhile.
    return np.asarray(once(("order", id(values)), lambda: (values, np.argsort(values)))[1])
