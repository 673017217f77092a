"""Optuna is an extra."""

from importlib.util import find_spec


def need_optuna() -> None:
    """Raises in one line where it is not installed.

    Raises:
        ImportError: Optuna cannot be imported.
    """
    if find_spec("optuna") is None:
        raise ImportError("tune: Optuna is not installed. Run: pip install 'tfmtl[tune]'.")
