"""Options of an export."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ExportOptions:
    """The outputs of an exported model.

    Args:
        tasks: tuple of str or None. Tasks to answer; `()` for scores alone. Defaults to `None`: all.
        scores: dict of output name to expression. Further outputs computed from the tasks, such as
            `{"value": "click*0.3 + click*buy*5"}`; see `Score`. An expression may name every task of the model,
            also one that is not answered, and reads calibrated predictions. Defaults to none.
        calibrate: dict of task to method. Of binary tasks `"platt"` and `"isotonic"`, which are fitted on the
            validation split, and `"negatives:0.1"`, which corrects for a log that kept a tenth of its negatives; of
            survival tasks `"km"`, fitted there, too. Defaults to none.
        tables: str or None. How embedding tables are stored: `"fp16"`, in half the bytes, or `"int8"`, in little more
            than a quarter, with one float32 scale for each row. Rows become float32 after they are looked up. An
            export that loses more than .0005 of a task's AUC on the validation split is refused. Defaults to `None`:
            float32.
    """

    tasks: tuple[str, ...] | None = None
    scores: Mapping[str, str] = field(default_factory=dict)
    calibrate: Mapping[str, str] = field(default_factory=dict)
    tables: str | None = None
