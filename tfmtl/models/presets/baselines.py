"""Presets of the usual baselines."""

from tfmtl.layers.bottom.concatenation_bottom import ConcatenationBottom
from tfmtl.layers.bottom.interaction_bottom import INTERACTIONS, InteractionBottom
from tfmtl.layers.bottom.stem_bottom import STEMBottom
from tfmtl.layers.heads.information_transfer import InformationTransfer
from tfmtl.layers.sharing.mmoe import MMoE
from tfmtl.layers.sharing.ple import PLE
from tfmtl.layers.sharing.shared_network import SharedNetwork
from tfmtl.layers.sharing.single_task import SingleTask
from tfmtl.layers.sharing.stem import STEM
from tfmtl.models.multi_task_model import MultiTaskModel
from tfmtl.models.presets._parts import NUMBER_BINS, Widths, bottom_layer, built, count_tasks, sharing_layer
from tfmtl.models.task_chain import task_parents
from tfmtl.schema import ModelInputs
from tfmtl.schema.checks import check_one_of


def single_task(
    inputs: ModelInputs,
    *,
    hidden_units: Widths = (128, 64),
    tower_units: Widths = (64,),
    pooling: str = "mean",
    bottom: str = "concatenation",
    dropout: float = 0.0,
    number_bins: int = NUMBER_BINS,
) -> MultiTaskModel:
    """A private network per task on shared embeddings; sequences are pooled (`"mean"` or `"target"`, as in DIN)."""
    sharing = SingleTask(count_tasks("single_task", inputs), hidden_units, dropout=dropout)
    below = bottom_layer("single_task", bottom, sharing.num_tasks, pooling, dropout)
    return built(
        "single_task", inputs, below, sharing, tower_units=tower_units, dropout=dropout, number_bins=number_bins
    )


def shared_bottom(
    inputs: ModelInputs,
    *,
    hidden_units: Widths = (128, 64),
    tower_units: Widths = (64,),
    pooling: str = "mean",
    bottom: str = "concatenation",
    dropout: float = 0.0,
    number_bins: int = NUMBER_BINS,
) -> MultiTaskModel:
    """One network for all tasks, a tower each (Caruana 1997)."""
    sharing = SharedNetwork(count_tasks("shared_bottom", inputs), hidden_units, dropout=dropout)
    below = bottom_layer("shared_bottom", bottom, sharing.num_tasks, pooling, dropout)
    return built(
        "shared_bottom", inputs, below, sharing, tower_units=tower_units, dropout=dropout, number_bins=number_bins
    )


def mmoe(
    inputs: ModelInputs,
    *,
    num_experts: int = 8,
    top_k: int | None = None,
    load_balance_weight: float = 0.0,
    hidden_units: Widths = (128, 64),
    tower_units: Widths = (64,),
    pooling: str = "mean",
    bottom: str = "concatenation",
    dropout: float = 0.0,
    number_bins: int = NUMBER_BINS,
) -> MultiTaskModel:
    """Experts shared through a gate per task (Ma et al., KDD 2018)."""
    sharing = MMoE(
        count_tasks("mmoe", inputs),
        num_experts,
        hidden_units,
        dropout=dropout,
        top_k=top_k,
        load_balance_weight=load_balance_weight,
    )
    below = bottom_layer("mmoe", bottom, sharing.num_tasks, pooling, dropout)
    return built("mmoe", inputs, below, sharing, tower_units=tower_units, dropout=dropout, number_bins=number_bins)


def ple(
    inputs: ModelInputs,
    *,
    num_levels: int = 2,
    num_specific_experts: int = 2,
    num_shared_experts: int = 2,
    hidden_units: Widths = (128, 64),
    tower_units: Widths = (64,),
    pooling: str = "mean",
    bottom: str = "concatenation",
    dropout: float = 0.0,
    number_bins: int = NUMBER_BINS,
) -> MultiTaskModel:
    """Experts of each task beside shared ones, in levels (Tang et al., RecSys 2020); with one level it is CGC."""
    sharing = PLE(
        count_tasks("ple", inputs), num_levels, num_specific_experts, num_shared_experts, hidden_units, dropout=dropout
    )
    below = bottom_layer("ple", bottom, sharing.num_tasks, pooling, dropout)
    return built("ple", inputs, below, sharing, tower_units=tower_units, dropout=dropout, number_bins=number_bins)


def stem(
    inputs: ModelInputs,
    *,
    num_specific_experts: int = 1,
    num_shared_experts: int = 1,
    hidden_units: Widths = (128, 64),
    tower_units: Widths = (64,),
    pooling: str = "mean",
    dropout: float = 0.0,
    number_bins: int = NUMBER_BINS,
) -> MultiTaskModel:
    """Embeddings and experts of each task beside shared ones, taught by their own task alone (Su et al., AAAI 2024).

    The tables are as many times as large as there are tasks, plus one.
    """
    num_tasks = count_tasks("stem", inputs)
    sharing = STEM(num_tasks, num_specific_experts, num_shared_experts, hidden_units, dropout=dropout)
    return built(
        "stem",
        inputs,
        STEMBottom(num_tasks, pooling),
        sharing,
        tower_units=tower_units,
        dropout=dropout,
        number_bins=number_bins,
    )


def esmm(
    inputs: ModelInputs,
    *,
    hidden_units: Widths = (128, 64),
    tower_units: Widths = (64,),
    pooling: str = "mean",
    dropout: float = 0.0,
    chain: str = "entire_space",
    propensity_weight: float = 0.1,
    least_propensity: float = 0.01,
    number_bins: int = NUMBER_BINS,
) -> MultiTaskModel:
    """A private network per task; a task's prediction is the product along its parents (Ma et al., SIGIR 2018).

    `chain="inverse_propensity"` is ESCM2-IPS (Wang et al., SIGIR 2022); the last two options are for it.
    """
    sharing = SingleTask(count_tasks("esmm", inputs), hidden_units, dropout=dropout)
    bottom = ConcatenationBottom(pooling)
    return built(
        "esmm",
        inputs,
        bottom,
        sharing,
        tower_units=tower_units,
        dropout=dropout,
        chain=chain,
        propensity_weight=propensity_weight,
        least_propensity=least_propensity,
        number_bins=number_bins,
    )


def aitm(
    inputs: ModelInputs,
    *,
    hidden_units: Widths = (128, 64, 32),
    pooling: str = "mean",
    dropout: float = 0.0,
    expectation_weight: float | None = None,
    number_bins: int = NUMBER_BINS,
) -> MultiTaskModel:
    """Private towers that pass information to the next task (Xi et al., KDD 2021).

    The chain is that of the tasks' parents, with a calibrator whose weight is 0.6 if it is left out. Where no task has
    a parent the chain is the order of the tasks, and there is nothing to calibrate.
    """
    num_tasks = count_tasks("aitm", inputs)
    has_parents = any(parent is not None for parent in task_parents(inputs.problem))
    in_order = (None, *range(num_tasks - 1))
    if expectation_weight is None:
        expectation_weight = 0.6 if has_parents else 0.0
    return built(
        "aitm",
        inputs,
        ConcatenationBottom(pooling),
        SingleTask(num_tasks, hidden_units, dropout=dropout),
        tower_units=(),
        transfer=InformationTransfer(task_parents(inputs.problem) if has_parents else in_order, dropout),
        expectation_weight=expectation_weight,
        number_bins=number_bins,
    )


def interaction(
    inputs: ModelInputs,
    *,
    kind: str = "dcn_v2",
    num_layers: int = 2,
    sharing: str = "shared_network",
    num_experts: int = 4,
    hidden_units: Widths = (128, 64),
    tower_units: Widths = (64,),
    pooling: str = "mean",
    dropout: float = 0.0,
    number_bins: int = NUMBER_BINS,
) -> MultiTaskModel:
    """A bottom that multiplies fields: `"dcn_v2"`, `"fm"`, `"cin"`, `"autoint"`, `"senet"` or `"fibinet"`.

    `num_layers` is for `"dcn_v2"`, `"cin"` and `"autoint"`, `num_experts` for `sharing="mmoe"` and `"ple"`.
    """
    check_one_of("interaction", "kind", kind, INTERACTIONS)
    return built(
        "interaction",
        inputs,
        InteractionBottom(kind, pooling, num_layers),
        sharing_layer("interaction", sharing, count_tasks("interaction", inputs), num_experts, hidden_units, dropout),
        tower_units=tower_units,
        dropout=dropout,
        number_bins=number_bins,
    )
