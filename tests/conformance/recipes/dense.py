"""Recipes of the batched dense layers."""

from tests.conformance.recipes.inputs import NETWORK, PER_TASK, SHARED
from tests.support.layer_checks import LayerRecipe
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.layers.dense.stacked_mlp import StackedMLP

RECIPES = (
    LayerRecipe(StackedDense, SHARED, {"num_stacks": 3, "units": 2, "activation": "tanh"}),
    LayerRecipe(StackedDense, PER_TASK, {"num_stacks": 3, "units": 2, "use_bias": False}),
    LayerRecipe(StackedMLP, SHARED, {"num_stacks": 3, "hidden_units": (4, 2), "dropout": 0.1}),
    LayerRecipe(StackedMLP, PER_TASK, {"num_stacks": 3, "hidden_units": (4, 2), "activation": "gelu"}),
)

ALTERNATIVES = {
    StackedDense: {
        "num_stacks": 2,
        "units": 3,
        "activation": None,
        "use_bias": False,
        "kernel_initializer": "he_normal",
    },
    StackedMLP: {"num_stacks": 2, **NETWORK},
}
