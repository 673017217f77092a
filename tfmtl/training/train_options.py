"""What can be chosen about a training run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tfmtl.core.validation import check_one_of, check_positive_int, check_positive_number, error_text
from tfmtl.models.presets import PRESETS
from tfmtl.training.strategy import STRATEGIES


@dataclass(frozen=True)
class TrainOptions:
    """One training run; every random number in it flows from `seed`.

    Args:
        preset: str. A model of `tfmtl.models.PRESETS`. Defaults to `"dtrn"`.
        preset_options: mapping. Arguments of that preset. Defaults to none.
        epochs: int. At most. Defaults to `10`.
        batch_size: int. Examples a step, over all replicas. Defaults to `512`.
        learning_rate: float. Of Adam. Defaults to `1e-3`.
        monitor: str or None. Metric that selects the best epoch and stops early, as `fit` names it. Defaults to
            `None`: `val_mean_auc`, or `val_loss` for a problem without binary tasks.
        patience: int. Epochs without improvement before training stops. Defaults to `2`.
        seed: int. Defaults to `0`.
        strategy: str. `"one_device"`, `"mirrored"`, `"multi_worker"` or `"parameter_server"`, as `get_strategy` says.
            Defaults to `"one_device"`.
        jit_compile: bool. Compile the step with XLA; with strategy `"one_device"` only. Defaults to `False`.
    """

    preset: str = "dtrn"
    preset_options: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 10
    batch_size: int = 512
    learning_rate: float = 1e-3
    monitor: str | None = None
    patience: int = 2
    seed: int = 0
    strategy: str = "one_device"
    jit_compile: bool = False

    def __post_init__(self) -> None:
        check_one_of("TrainOptions", "preset", self.preset, list(PRESETS))
        check_one_of("TrainOptions", "strategy", self.strategy, STRATEGIES)
        for argument in ("epochs", "batch_size", "patience"):
            check_positive_int("TrainOptions", argument, getattr(self, argument))
        check_positive_number("TrainOptions", "learning_rate", self.learning_rate)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(error_text("TrainOptions", "seed", "be an int of at least 0", self.seed, "Use 0."))
        if self.jit_compile and self.strategy != "one_device":
            advice = "XLA cannot reach the variables of another device: use strategy 'one_device'."
            rule = f"be False with strategy {self.strategy!r}"
            raise ValueError(error_text("TrainOptions", "jit_compile", rule, self.jit_compile, advice))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the run record."""
        return asdict(self)
