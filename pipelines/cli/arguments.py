"""Arguments and options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

DataFolder = Annotated[Path, typer.Argument(help="Output folder of `tfmtl preprocess`.")]
RunFolder = Annotated[Path, typer.Argument(help="Output folder of `tfmtl train`.")]
ModelFolder = Annotated[Path, typer.Argument(help="Output folder of `tfmtl export` (it has one folder per version).")]
OtherData = Annotated[
    Path | None, typer.Option(help="Data folder, if not the one that the model was trained on.", show_default=False)
]
Calibrate = Annotated[
    list[str] | None,
    typer.Option(
        help="Calibrate probabilities: platt, isotonic or negatives:<share kept> of yes/no tasks, km of lifetimes; for "
        "one task, task=platt. Fitted on the validation split. May be given several times."
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of every random number of this step.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Option of the preset, such as num_experts=8. May be given several times."),
]
Version = Annotated[int | None, typer.Option(help="Version number. Default: the next one.", show_default=False)]
