"""Recipes of experts, gates and sharing layers."""

from tests.conformance.recipes.inputs import NETWORK, PER_TASK, SHARED
from tests.support.layer_checks import LayerRecipe
from tfmtl.layers.experts.expert_bank import ExpertBank
from tfmtl.layers.gates.softmax_gate import SoftmaxGate
from tfmtl.layers.sharing.mmoe import MMoE
from tfmtl.layers.sharing.shared_bottom import SharedBottom
from tfmtl.layers.sharing.single_task import SingleTask

RECIPES = (
    LayerRecipe(ExpertBank, SHARED, {"num_experts": 4, "hidden_units": (4, 2), "dropout": 0.1}),
    LayerRecipe(ExpertBank, PER_TASK, {"num_experts": 4, "hidden_units": (4, 2)}),
    LayerRecipe(SoftmaxGate, SHARED, {"num_tasks": 3, "num_experts": 4}),
    LayerRecipe(SoftmaxGate, PER_TASK, {"num_tasks": 3, "num_experts": 4}),
    LayerRecipe(SingleTask, SHARED, {"num_tasks": 3, "hidden_units": (4, 2)}),
    LayerRecipe(SingleTask, PER_TASK, {"num_tasks": 3, "hidden_units": (4, 2)}),
    LayerRecipe(SharedBottom, SHARED, {"num_tasks": 3, "hidden_units": (4, 2)}),
    LayerRecipe(SharedBottom, PER_TASK, {"num_tasks": 3, "hidden_units": (4, 2)}),
    LayerRecipe(MMoE, SHARED, {"num_tasks": 3, "num_experts": 4, "hidden_units": (4, 2)}),
    LayerRecipe(MMoE, PER_TASK, {"num_tasks": 3, "num_experts": 4, "hidden_units": (4, 2)}),
)

ALTERNATIVES = {
    ExpertBank: {"num_experts": 3, **NETWORK},
    SoftmaxGate: {"num_tasks": 2, "num_experts": 3},
    SingleTask: {"num_tasks": 2, **NETWORK},
    SharedBottom: {"num_tasks": 2, **NETWORK},
    MMoE: {"num_tasks": 2, "num_experts": 3, **NETWORK},
}
