"""SciPy, which solving on grids needs and nothing else does."""

import importlib
from typing import Any


def need_scipy(part: str) -> Any:
    """`scipy.<part>`.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        return importlib.import_module(f"scipy.{part}")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("this solver needs SciPy. Install it with: pip install 'tfmtl[physics]'") from error
