"""scikit-learn, which boosted trees need and nothing else does."""

import importlib
from typing import Any


def need_sklearn(part: str) -> Any:
    """`sklearn.<part>`.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        return importlib.import_module(f"sklearn.{part}")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "boosted trees need scikit-learn. Install it with: pip install 'tfmtl[trees]'"
        ) from error
