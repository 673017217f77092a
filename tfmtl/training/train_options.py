"""Options of a training run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tfmtl.balancing import BALANCERS
from tfmtl.models.presets import PRESETS
from tfmtl.models.steps.projected_fields import rows_worth_projecting
from tfmtl.models.trainable_network import BALANCE_PLACES
from tfmtl.optimizers.warm_up_decay import DECAYS
from tfmtl.schema.checks import (
    check_bool,
    check_count,
    check_nonnegative_number,
    check_one_of,
    check_positive_int,
    check_positive_number,
    check_probability,
    check_rate,
    error_text,
)
from tfmtl.sharpness import SHARPNESS, Sharpness
from tfmtl.training.strategy import STRATEGIES

OPTIMIZERS = ("adam", "adam_adagrad", "adam_row_wise_adagrad", "adagrad", "sgd")
"""Names that `optimizer` takes."""

_ONE_MACHINE = ("one_device", "mirrored")
_MOMENTUM = 0.99  # docs/results/recipe.md
_WITHOUT_EFFECT = ("checkpoint_every", "memory_check", "monitor_conflicts")


@dataclass(frozen=True)
class TrainOptions:
    """Options of one training run; all its random numbers follow from `seed`.

    Args:
        preset: str. The model: a name in `tfmtl.models.PRESETS`, such as dtrn, mmoe or ple. Defaults to `"dtrn"`.
        preset_options: mapping. Options of the preset, such as num_experts=8. Defaults to none.
        epochs: int. Largest number of passes over the training split. Defaults to `5`.
        batch_size: int. Examples per step, over all replicas together. Defaults to `512`.
        learning_rate: float. Learning rate, the largest one where there is a schedule. Defaults to `2e-3`.
        optimizer: str. Optimizer of the dense weights and of the tables: adam, adam_adagrad, adam_row_wise_adagrad,
            adagrad or sgd; with a name of two the tables have the second. Defaults to `"adam"`.
        schedule: str. How the learning rate falls over the run's largest number of steps: constant, exponential or
            cosine. Defaults to `"cosine"`.
        warm_up: int. Steps in which the learning rate rises to its value. Defaults to `0`.
        final_rate: float. Share of the learning rate that is left at the end of an exponential or cosine schedule.
            Defaults to `0.01`.
        weight_decay: float. Share by which the dense weights, biases and norms apart, shrink at each step, times the
            learning rate. Defaults to `0.0`.
        embedding_l2: float. L2 regularization of those rows of the tables that a batch reads; it enters their
            gradient. Defaults to `0.0`.
        id_dropout: float. Probability in training that a frequent value is taken for an unknown one; a value of c
            training rows is so with 1 + 20 / c times that, at most 0.5. It trains the rows of unknown values, and
            keeps rare ones from being learned by heart. Defaults to `0.1`.
        field_dropout: float. Probability in training that a field of a row is taken for missing. Defaults to `0.0`.
        label_smoothing: float. Share by which yes/no labels are drawn towards their mean in the training loss.
            Defaults to `0.0`.
        monitor: str or None. Metric that selects the best epoch and stops training early, by its name in `fit`, such as
            val_like/auc or val_mean_auc. Defaults to `None`: val_mean_relative_loss, the mean over the tasks of the
            loss divided by that of a constant.
        evaluate_every: float or None. Steps between two validations, or up to 1 the share of an epoch; the best of
            them is kept, and patience counts them. Defaults to `None`: after every epoch.
        patience: int. Validations without improvement before training stops. Defaults to `2`.
        seed: int. Seed of every random number of the run. Defaults to `0`.
        strategy: str. Where to train: one_device, mirrored (all GPUs of this machine), multi_worker or
            parameter_server; the last two read TF_CONFIG. Defaults to `"one_device"`.
        jit_compile: bool. Compile the training step with XLA: the start is slower, the steps are faster. With strategy
            one_device only. Defaults to `False`.
        clip_norm: float or None. Largest norm of all gradients of a step together; longer gradients are scaled down.
            With strategy one_device only. Defaults to `None`: no limit.
        ema_momentum: float or None. Evaluate and save the exponential moving average of the weights with this momentum;
            0 for the weights themselves. With strategy one_device or mirrored only. Defaults to `None`: 0.99 with
            these, about the last hundred steps; the weights themselves with the others.
        checkpoint_every: int or None. Steps between two checkpoints inside an epoch, on one machine; the end of an
            epoch always has one. Defaults to `None`: every five minutes, or less often if that took more than 5 % of
            the time.
        deterministic: bool. Use only TensorFlow kernels that give the same bits every time. Without it a killed run
            still resumes, but its result may differ in the last bits. Without effect with strategy
            parameter_server. Defaults to `True`.
        memory_check: bool. Refuse embedding tables that do not fit into memory. Defaults to `True`.
        balancing: str or None. Loss weighting or gradient aggregation for tasks that conflict: a name in
            `tfmtl.balancing.BALANCERS`, such as uncertainty or pcgrad. Defaults to `None`: the tasks' weights alone.
        balance_at: str. Where gradients are balanced: parameters or representation. The second is cheaper. Defaults to
            `"parameters"`.
        sharpness: str or None. Look for a flat minimum: sam or asam. Defaults to `None`: no.
        rho: float or None. Radius of the neighborhood that sharpness looks at. Defaults to `None`: the method's own
            (sam 0.05, asam 2.0).
        decomposed: bool. With sharpness: perturb the weights for each task separately, and balance the tasks' flatness
            separately from their losses. Defaults to `False`.
        init_from: str or None. Warm start: output folder of an earlier run of the same preset, whose weights are the
            start. The data must have the same vocabularies or an extension of them. Defaults to `None`: random weights.
        monitor_conflicts: bool. Measure the tasks' gradients, gates and embeddings once per epoch, with
            `ConflictMonitor`. Defaults to `False`.
    """

    preset: str = "dtrn"
    preset_options: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 5
    batch_size: int = 512
    learning_rate: float = 2e-3
    optimizer: str = "adam"
    schedule: str = "cosine"
    warm_up: int = 0
    final_rate: float = 0.01
    weight_decay: float = 0.0
    embedding_l2: float = 0.0
    id_dropout: float = 0.1
    field_dropout: float = 0.0
    label_smoothing: float = 0.0
    monitor: str | None = None
    evaluate_every: float | None = None
    patience: int = 2
    seed: int = 0
    strategy: str = "one_device"
    jit_compile: bool = False
    clip_norm: float | None = None
    ema_momentum: float | None = None
    checkpoint_every: int | None = None
    deterministic: bool = True
    memory_check: bool = True
    balancing: str | None = None
    balance_at: str = "parameters"
    sharpness: str | None = None
    rho: float | None = None
    decomposed: bool = False
    init_from: str | None = None
    monitor_conflicts: bool = False

    def __post_init__(self) -> None:
        check_one_of("TrainOptions", "preset", self.preset, list(PRESETS))
        check_one_of("TrainOptions", "strategy", self.strategy, STRATEGIES)
        for argument in ("epochs", "batch_size", "patience"):
            check_positive_int("TrainOptions", argument, getattr(self, argument))
        self._check_recipe()
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(error_text("TrainOptions", "seed", "be an int of at least 0", self.seed, "Use 0."))
        if self.jit_compile and self.strategy != "one_device":
            advice = "XLA cannot reach the variables of another device: use strategy 'one_device'."
            rule = f"be False with strategy {self.strategy!r}"
            raise ValueError(error_text("TrainOptions", "jit_compile", rule, self.jit_compile, advice))
        if self.clip_norm is not None:
            check_positive_number("TrainOptions", "clip_norm", self.clip_norm)
            if self.strategy != "one_device":
                rule, advice = f"be None with strategy {self.strategy!r}", "Keras clips each replica's share by itself."
                raise ValueError(error_text("TrainOptions", "clip_norm", rule, self.clip_norm, advice))
        if self.ema_momentum:
            check_probability("TrainOptions", "ema_momentum", self.ema_momentum, "Use 0.99, or 0 for no average.")
            if self.strategy not in _ONE_MACHINE:
                rule, advice = f"be None or 0 with strategy {self.strategy!r}", f"Averages need one of {_ONE_MACHINE}."
                raise ValueError(error_text("TrainOptions", "ema_momentum", rule, self.ema_momentum, advice))
        if self.checkpoint_every is not None:
            check_positive_int("TrainOptions", "checkpoint_every", self.checkpoint_every)
        check_bool("TrainOptions", "deterministic", self.deterministic)
        check_bool("TrainOptions", "memory_check", self.memory_check)
        if self.init_from is not None and not isinstance(self.init_from, str):
            advice = "Give the folder as text."
            raise TypeError(error_text("TrainOptions", "init_from", "be text or None", self.init_from, advice))
        self._check_balancing()
        check_bool("TrainOptions", "monitor_conflicts", self.monitor_conflicts)

    def _check_recipe(self) -> None:
        owner = "TrainOptions"
        check_positive_number(owner, "learning_rate", self.learning_rate)
        check_one_of(owner, "optimizer", self.optimizer, OPTIMIZERS)
        check_one_of(owner, "schedule", self.schedule, DECAYS)
        check_count(owner, "warm_up", self.warm_up)
        check_positive_number(owner, "final_rate", self.final_rate)
        if self.final_rate > 1.0:
            raise ValueError(error_text(owner, "final_rate", "be at most 1", self.final_rate, "Use 0.01."))
        for argument in ("weight_decay", "embedding_l2"):
            check_nonnegative_number(owner, argument, getattr(self, argument))
        for argument in ("id_dropout", "field_dropout", "label_smoothing"):
            check_rate(owner, argument, getattr(self, argument), "Use a share such as 0.1.")
        if self.evaluate_every is not None:
            check_positive_number(owner, "evaluate_every", self.evaluate_every)
            if self.evaluate_every > 1 and self.evaluate_every != int(self.evaluate_every):
                rule, advice = "be a whole number of steps, or at most 1", "Use 0.25 for four times an epoch."
                raise ValueError(error_text(owner, "evaluate_every", rule, self.evaluate_every, advice))

    def decisive_options(self) -> dict[str, Any]:
        """The options that influence the result."""
        return {name: value for name, value in self.to_dict().items() if name not in _WITHOUT_EFFECT}

    @property
    def averaged(self) -> float:
        """The momentum of the weights' average; 0 where there is none."""
        if self.ema_momentum is not None:
            return self.ema_momentum
        return _MOMENTUM if self.strategy in _ONE_MACHINE else 0.0

    def _check_balancing(self) -> None:
        if self.balancing is not None:
            check_one_of("TrainOptions", "balancing", self.balancing, list(BALANCERS))
        check_one_of("TrainOptions", "balance_at", self.balance_at, BALANCE_PLACES)
        if self.sharpness is not None:
            check_one_of("TrainOptions", "sharpness", self.sharpness, list(SHARPNESS))
            self.make_sharpness()
        else:
            advice = f"Name a `sharpness`, one of {list(SHARPNESS)}, or leave it out."
            for argument, default in (("rho", None), ("decomposed", False)):
                if getattr(self, argument) != default:
                    rule = f"be {default} without sharpness"
                    raise ValueError(error_text("TrainOptions", argument, rule, getattr(self, argument), advice))

    def make_sharpness(self) -> Sharpness | None:
        """The method that `sharpness`, `rho` and `decomposed` describe."""
        if self.sharpness is None:
            return None
        method = SHARPNESS[self.sharpness]
        if self.rho is None:
            return method(decomposed=self.decomposed)
        return method(self.rho, decomposed=self.decomposed)

    def compile_arguments(self) -> dict[str, Any]:
        """The arguments of `MultiTaskModel.compile` besides the optimizer."""
        return {
            "jit_compile": self.jit_compile,
            # The last batch is smaller, so a step does not know its size.
            "max_projected_rows": rows_worth_projecting(self.batch_size),
            "balancing": self.balancing,
            "balance_at": self.balance_at,
            "sharpness": self.make_sharpness(),
            "label_smoothing": self.label_smoothing,
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the run record."""
        return asdict(self)
