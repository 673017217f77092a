"""The one spelling of a number that is used as a category."""

import math
from decimal import Decimal
from typing import Any


def spelled(value: Any) -> str:
    """The one text of a bool, int or float (Python's or NumPy's), as ids and other categories are compared.

    A whole number has no point and nothing has an exponent, whatever type stored it: 7, 7.0 and decimal 7.00 are `7`.
    A bool is `1` or `0`. A fraction has as few digits as tell it from its neighbors. NaN is missing: `""`.

    Example:

    >>> [spelled(value) for value in (True, 10000000001.0, 2.50, -0.0)]
    ['1', '10000000001', '2.5', '0']
    """
    if not isinstance(value, int) and not math.isfinite(value):
        return "" if math.isnan(value) else str(value)
    if value == int(value):
        return str(int(value))
    text = str(value)
    return format(Decimal(text), "f") if "e" in text else text
