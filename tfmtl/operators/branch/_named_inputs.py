"""Checks of branches that read named inputs."""

from collections.abc import Sequence
from typing import Any

from tfmtl.schema.checks import error_text


def check_names(owner: str, argument: str, names: Any) -> None:
    """Raises unless `names` is a non-empty sequence of distinct strings."""
    is_right = isinstance(names, Sequence) and not isinstance(names, str) and len(names) > 0
    if not is_right or any(not isinstance(name, str) for name in names) or len(set(names)) < len(names):
        rule, advice = "be a non-empty sequence of distinct names", 'Name inputs of the network, as in ("initial",).'
        raise ValueError(error_text(owner, argument, rule, names, advice))
