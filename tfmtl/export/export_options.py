"""Options of an export."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ExportOptions:
    """The outputs of an exported model.

    Args:
        tasks: tuple of str or None. Tasks to answer; `()` for scores alone. Defaults to `None`: all.
        scores: mapping of an output's name to an expression over the tasks, as `Score` reads it, such as
            `{"value": "click*0.3 + click*buy*5"}`. It sees every task of the model, calibrated. Defaults to none.
        calibrate: mapping of a binary task to `"platt"`, `"isotonic"` or `"negatives:<share kept>"`; what is fitted is
            fitted on the validation split. Defaults to none.
    """

    tasks: tuple[str, ...] | None = None
    scores: Mapping[str, str] = field(default_factory=dict)
    calibrate: Mapping[str, str] = field(default_factory=dict)
