"""Recipes of experts, gates and sharing layers."""

import numpy as np

from tests.conformance.recipes.inputs import BATCH, NETWORK, PER_TASK, SHARED, TASKS, WIDTH, normal
from tests.support.layer_checks import LayerRecipe
from tfmtl.layers.experts.cross_expert import CrossExpert
from tfmtl.layers.experts.expert_bank import ExpertBank
from tfmtl.layers.experts.field_interaction_expert import FieldInteractionExpert
from tfmtl.layers.gates.soft_selection_gate import SoftSelectionGate
from tfmtl.layers.gates.softmax_gate import SoftmaxGate
from tfmtl.layers.gates.virtual_gradient_gate import VirtualGradientGate
from tfmtl.layers.sharing.cgc import CGC
from tfmtl.layers.sharing.heterogeneous import HeterogeneousExperts
from tfmtl.layers.sharing.mmoe import MMoE
from tfmtl.layers.sharing.ple import PLE
from tfmtl.layers.sharing.shared_network import SharedNetwork
from tfmtl.layers.sharing.single_task import SingleTask
from tfmtl.layers.sharing.stem import STEM

PER_TASK_AND_SHARED = normal(BATCH, TASKS + 1, 5)
_LEVEL = {"num_tasks": 3, "num_specific_experts": 2, "num_shared_experts": 2, "hidden_units": (4, 2)}

CORRELATION = {"label_correlation": np.array([[1.0, 0.3, 0.9], [0.3, 1.0, 0.6], [0.9, 0.6, 1.0]], "float32")}
TWO_TASKS = {"label_correlation": CORRELATION["label_correlation"][:2, :2]}
GATES = {"num_tasks": 3, "num_experts": 2, "num_mappings": 3}
HETEROGENEOUS = {"num_tasks": 3, "field_dim": WIDTH, "hidden_units": (4, 2)}
FIELD_COUNT = 2


def gate_recipe(inputs: dict[str, np.ndarray], **arguments: object) -> LayerRecipe:
    """The gates depend on no example."""
    unbatched = tuple(inputs)
    return LayerRecipe(VirtualGradientGate, inputs, {**GATES, **arguments}, unbatched=True, unbatched_inputs=unbatched)


RECIPES = (
    LayerRecipe(ExpertBank, SHARED, {"num_experts": 4, "hidden_units": (4, 2), "dropout": 0.1}),
    LayerRecipe(ExpertBank, PER_TASK, {"num_experts": 4, "hidden_units": (4, 2)}),
    LayerRecipe(SoftmaxGate, SHARED, {"num_tasks": 3, "num_experts": 4}),
    LayerRecipe(SoftmaxGate, PER_TASK, {"num_tasks": 3, "num_experts": 4}),
    LayerRecipe(SoftmaxGate, PER_TASK, {"num_tasks": 3, "num_experts": 4, "top_k": 2, "load_balance_weight": 0.1}),
    LayerRecipe(SingleTask, SHARED, {"num_tasks": 3, "hidden_units": (4, 2)}),
    LayerRecipe(SingleTask, PER_TASK, {"num_tasks": 3, "hidden_units": (4, 2)}),
    LayerRecipe(SharedNetwork, SHARED, {"num_tasks": 3, "hidden_units": (4, 2)}),
    LayerRecipe(SharedNetwork, PER_TASK, {"num_tasks": 3, "hidden_units": (4, 2)}),
    LayerRecipe(STEM, PER_TASK_AND_SHARED, {**_LEVEL, "dropout": 0.1}),
    LayerRecipe(STEM, SHARED, _LEVEL),
    LayerRecipe(MMoE, SHARED, {"num_tasks": 3, "num_experts": 4, "hidden_units": (4, 2)}),
    LayerRecipe(MMoE, PER_TASK, {"num_tasks": 3, "num_experts": 4, "hidden_units": (4, 2)}),
    LayerRecipe(MMoE, SHARED, {"num_tasks": 3, "num_experts": 4, "hidden_units": (4, 2), "top_k": 2}),
    LayerRecipe(CGC, SHARED, _LEVEL),
    LayerRecipe(CGC, SHARED, {**_LEVEL, "num_specific_experts": 0}),
    *(LayerRecipe(CGC, inputs, {**_LEVEL, "use_shared_gate": True}) for inputs in (SHARED, PER_TASK)),
    LayerRecipe(CGC, PER_TASK_AND_SHARED, {**_LEVEL, "use_shared_gate": True}),
    *(LayerRecipe(PLE, inputs, _LEVEL) for inputs in (SHARED, PER_TASK, PER_TASK_AND_SHARED)),
    LayerRecipe(SoftSelectionGate, normal(BATCH, 3, WIDTH), {"num_groups": 3}),
    LayerRecipe(SoftSelectionGate, normal(BATCH, 3, WIDTH), {"num_groups": 3, "private_attention": True}),
    LayerRecipe(CrossExpert, PER_TASK, {"num_stacks": 3}),
    LayerRecipe(CrossExpert, SHARED, {"num_stacks": 3, "residual": "plain"}),
    LayerRecipe(CrossExpert, SHARED, {"num_stacks": 3, "residual": "none", "rank": 2}),
    LayerRecipe(FieldInteractionExpert, normal(BATCH, 3, FIELD_COUNT, WIDTH), {"num_stacks": 3}),
    LayerRecipe(FieldInteractionExpert, normal(BATCH, 1, FIELD_COUNT, WIDTH), {"num_stacks": 3}),
    gate_recipe(CORRELATION),
    gate_recipe(CORRELATION, mode="ratio"),
    gate_recipe({}),
    LayerRecipe(HeterogeneousExperts, normal(BATCH, 4, FIELD_COUNT * WIDTH), HETEROGENEOUS),
    LayerRecipe(
        HeterogeneousExperts, normal(BATCH, 3, FIELD_COUNT * WIDTH), {**HETEROGENEOUS, "private_experts": "mlp"}
    ),
    LayerRecipe(
        HeterogeneousExperts,
        normal(BATCH, 1, FIELD_COUNT * WIDTH),
        {**HETEROGENEOUS, "cross_rank": 2, "mappings": ("identity", "sin", "cos"), "function": None},
    ),
)

_GATE = {"top_k": 2, "load_balance_weight": 0.1}

ALTERNATIVES = {
    STEM: {**NETWORK, "num_tasks": 4, "num_specific_experts": 1, "num_shared_experts": 1},
    ExpertBank: {"num_experts": 3, **NETWORK},
    SoftmaxGate: {"num_tasks": 2, "num_experts": 3, **_GATE},
    SingleTask: {"num_tasks": 2, **NETWORK},
    SharedNetwork: {"num_tasks": 2, **NETWORK},
    MMoE: {"num_tasks": 2, "num_experts": 3, **_GATE, **NETWORK},
    CGC: {
        "num_tasks": 2,
        "num_specific_experts": 1,
        "num_shared_experts": 1,
        "use_shared_gate": True,
        **NETWORK,
    },
    PLE: {"num_tasks": 2, "num_levels": 1, "num_specific_experts": 1, "num_shared_experts": 1, **NETWORK},
    SoftSelectionGate: {"num_groups": 2, "num_heads": 1, "private_attention": True},
    CrossExpert: {
        # Its inputs are those of as many stacks as it has, hence a recipe in place of the value.
        "num_stacks": LayerRecipe(CrossExpert, PER_TASK[:, :2], {"num_stacks": 2}),
        "num_layers": 2,
        "residual": "plain",
        "rank": 2,
    },
    FieldInteractionExpert: {
        "num_stacks": LayerRecipe(FieldInteractionExpert, normal(BATCH, 2, FIELD_COUNT, WIDTH), {"num_stacks": 2}),
        "num_layers": 2,
    },
    VirtualGradientGate: {
        "num_tasks": gate_recipe(TWO_TASKS, num_tasks=2),
        "num_experts": 3,
        "num_mappings": 2,
        "function": "additive_cosine",
        "mode": "ratio",
    },
    HeterogeneousExperts: {
        "num_tasks": 4,
        "field_dim": 2,
        "num_public_experts": 2,
        "num_private_experts": 2,
        **NETWORK,
        "num_layers": 2,
        "mappings": ("identity", "cos"),
        "private_experts": "mlp",
        "function": None,
        "correlation": "cosine",
        "cross_rank": 2,
    },
}
