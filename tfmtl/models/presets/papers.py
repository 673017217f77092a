"""Presets of the papers' networks: DTRN, DEPHN, APEM and the one of ad creatives."""

from tfmtl.layers.bottom.apem_bottom import APEMBottom
from tfmtl.layers.bottom.concatenation_bottom import ConcatenationBottom
from tfmtl.layers.bottom.dtrn_bottom import DTRNBottom
from tfmtl.layers.bottom.soft_selection_bottom import SoftSelectionBottom
from tfmtl.layers.embedding.embedding_plan import EmbeddingPlan
from tfmtl.layers.sharing.heterogeneous import HeterogeneousExperts
from tfmtl.layers.sharing.shared_network import SharedNetwork
from tfmtl.models.multi_task_model import MultiTaskModel
from tfmtl.models.presets._parts import NUMBER_BINS, Widths, built, count_tasks, sharing_layer
from tfmtl.models.task_chain import task_parents
from tfmtl.schema import ModelInputs


def dtrn(
    inputs: ModelInputs,
    *,
    num_layers: int = 1,
    num_heads: int = 2,
    pooling: str = "mean",
    encoder: str = "hyper",
    use_skip: bool = True,
    task_dim: int = 16,
    behavior_dim: int = 16,
    conditioning: str = "norm",
    rank: int = 16,
    reduction: int = 2,
    squeeze: str = "mean",
    gate: str = "2sigmoid",
    sharing: str = "mmoe",
    num_experts: int = 4,
    hidden_units: Widths = (128, 64),
    tower_units: Widths = (64,),
    dropout: float = 0.0,
    number_bins: int = NUMBER_BINS,
) -> MultiTaskModel:
    """DTRN (Liu et al., CIKM 2023; our reading): a bottom representation per task, then any sharing.

    `use_skip` is ours: without it the network learns several times more slowly (BUILD_NOTES.md). `conditioning` says
    what the hypernetwork generates for a task and a behavior: `"norm"`, or also an `"adapter"` or `"low_rank"` changes
    of the Transformer's matrices, of width `rank`. `num_experts` is for `sharing="mmoe"` and `"ple"`, which has half
    of them shared and as many for each task.
    """
    num_tasks = count_tasks("dtrn", inputs)
    bottom = DTRNBottom(
        num_tasks,
        num_layers=num_layers,
        num_heads=num_heads,
        pooling=pooling,
        encoder=encoder,
        use_skip=use_skip,
        task_dim=task_dim,
        behavior_dim=behavior_dim,
        conditioning=conditioning,
        rank=rank,
        reduction=reduction,
        squeeze=squeeze,
        gate=gate,
        dropout=dropout,
    )
    shared = sharing_layer("dtrn", sharing, num_tasks, num_experts, hidden_units, dropout)
    return built("dtrn", inputs, bottom, shared, tower_units=tower_units, dropout=dropout, number_bins=number_bins)


def dephn(
    inputs: ModelInputs,
    *,
    num_public_experts: int = 3,
    num_private_experts: int = 1,
    hidden_units: Widths = (128, 64),
    num_layers: int = 2,
    mappings: tuple[str, ...] = ("identity", "sin"),
    private_experts: str = "cross_field",
    function: str | None = "additive_root",
    correlation: str = "pearson",
    cross_rank: int | None = None,
    num_heads: int = 2,
    pooling: str = "mean",
    dropout: float = 0.0,
    number_bins: int = NUMBER_BINS,
) -> MultiTaskModel:
    """DEPHN (Kong et al., IJCNN 2023): heterogeneous experts, explicit mappings, gates with a virtual gradient.

    A task's logit is a weighted sum of what the experts give it, so there are no towers. Fewer private experts and
    layers than in the paper's figure (3 and 3), because a cross layer has as many weights as the square of all fields.
    """
    num_tasks = count_tasks("dephn", inputs)
    sharing = HeterogeneousExperts(
        num_tasks,
        EmbeddingPlan(inputs, None).dim,
        num_public_experts=num_public_experts,
        num_private_experts=num_private_experts,
        hidden_units=hidden_units,
        num_layers=num_layers,
        mappings=mappings,
        private_experts=private_experts,
        function=function,
        correlation=correlation,
        cross_rank=cross_rank,
        dropout=dropout,
    )
    return built(
        "dephn",
        inputs,
        SoftSelectionBottom(num_tasks, num_heads, pooling, public_representation=True),
        sharing,
        tower_units=(),
        number_bins=number_bins,
    )


def apem(
    inputs: ModelInputs,
    *,
    num_groups: int = 4,
    num_heads: int = 2,
    num_blocks: int = 1,
    se_axis: str = "group",
    reduction: int = 2,
    use_set_attention: bool = True,
    adaptive: bool = True,
    selection: str = "sigmoid",
    pooling: str = "mean",
    hidden_units: Widths = (128, 64, 32),
    dropout: float = 0.0,
    chain: str | None = None,
    expectation_weight: float = 0.0,
    number_bins: int = NUMBER_BINS,
) -> MultiTaskModel:
    """APEM (Tao et al. 2023; our reading): group tokens and a pattern selector per task, then private towers.

    `chain=None` is `"entire_space"` where the problem names parents, and `"none"` elsewhere; `expectation_weight` is
    for `chain="none"`.
    """
    num_tasks = count_tasks("apem", inputs)
    if chain is None:
        has_parents = any(parent is not None for parent in task_parents(inputs.problem))
        chain = "entire_space" if has_parents else "none"
    bottom = APEMBottom(
        num_tasks,
        num_groups=num_groups,
        num_heads=num_heads,
        num_blocks=num_blocks,
        se_axis=se_axis,
        reduction=reduction,
        use_set_attention=use_set_attention,
        adaptive=adaptive,
        selection=selection,
        pooling=pooling,
    )
    return built(
        "apem",
        inputs,
        bottom,
        sharing_layer("apem", "single_task", num_tasks, 1, hidden_units, dropout),
        tower_units=(),
        chain=chain,
        expectation_weight=expectation_weight,
        number_bins=number_bins,
    )


def creative(
    inputs: ModelInputs,
    *,
    hidden_units: Widths = (256, 128),
    tower_units: Widths = (),
    pooling: str = "mean",
    dropout: float = 0.3,
    consistency_weight: float = 0.0,
    number_bins: int = NUMBER_BINS,
) -> MultiTaskModel:
    """Discontinuation of ad creatives (Kitada et al. 2022; our reading): encoders, their fusion, a head for each term.

    The fusion is the paper's (equation 1): what the encoders of texts, pictures, series, categories and numbers give is
    concatenated and read by one network, whose last layer has a head for each term. Encoders belong to the features.
    The terms are two survival tasks of one lifetime, short (cut-out) and long (wear-out); lambda and 1 - lambda are
    their `weight`, and the weight of click-through rates is `weight_column: ctr, weight_offset: 1`. With
    `consistency_weight` the terms are drawn together where they overlap, which is ours.
    """
    sharing = SharedNetwork(count_tasks("creative", inputs), hidden_units, dropout=dropout)
    return built(
        "creative",
        inputs,
        ConcatenationBottom(pooling),
        sharing,
        tower_units=tower_units,
        dropout=dropout,
        consistency_weight=consistency_weight,
        number_bins=number_bins,
    )
