"""What a feature needs that a plain installation of the package does not bring."""

from importlib.util import find_spec


def need_extra(owner: str, extra: str, *modules: str) -> None:
    """Raises if one of `modules` is not installed, and says which extra brings it.

    It only looks for them: nothing but the packages around a submodule is imported.

    Args:
        owner: str. What needs them, as the user calls it.
        extra: str. The extra of the package, such as `"beam"`.
        *modules: str. What is imported, such as `"apache_beam"` or `"google.cloud.bigquery"`.

    Raises:
        ImportError: one is missing.

    Example:

    >>> need_extra("preprocess", "beam", "json")
    >>> need_extra("preprocess", "beam", "no_such_module")
    Traceback (most recent call last):
        ...
    ImportError: preprocess: needs no_such_module. Install it: pip install 'tfmtl[beam]'.
    """
    for module in modules:
        if not _is_there(module):
            raise ImportError(f"{owner}: needs {module}. Install it: pip install 'tfmtl[{extra}]'.", name=module)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package around it is missing
        return False
