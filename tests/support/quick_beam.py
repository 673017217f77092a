"""Beam looks at the signatures of its transforms' methods some thousand times a run; here, once for each function."""

import sys
from typing import Any


def remember_signatures() -> None:
    """Lets Beam, where it is loaded, remember what it found: a quarter of the time of a run on a small log."""
    core = sys.modules.get("apache_beam.transforms.core")
    if core is None:
        return
    find, known = core.get_function_args_defaults, {}

    def remembered(method: Any) -> tuple[list[str], list[Any]]:
        function = getattr(method, "__func__", None)
        if function is None:
            return find(method)
        if function not in known:
            known[function] = find(method)
        arguments, defaults = known[function]
        return list(arguments), list(defaults)

    core.get_function_args_defaults = remembered
