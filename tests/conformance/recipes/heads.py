"""Recipes of towers and heads."""

from tests.conformance.recipes.inputs import BATCH, NETWORK, PER_TASK, normal
from tests.support.layer_checks import LayerRecipe
from tfmtl.layers.heads.binary_head import BinaryHead
from tfmtl.layers.heads.regression_head import RegressionHead
from tfmtl.layers.heads.tower_bank import TowerBank

RECIPES = (
    LayerRecipe(TowerBank, PER_TASK, {"num_tasks": 3, "hidden_units": (4, 2)}),
    LayerRecipe(BinaryHead, normal(BATCH, 5), {"prior": 0.2}, output_dtype="float32"),
    LayerRecipe(RegressionHead, normal(BATCH, 5), {"mean": 3.0, "standard_deviation": 2.0}, output_dtype="float32"),
)

ALTERNATIVES = {
    # Its inputs have to have as many tasks as it has towers, hence a recipe in place of the value.
    TowerBank: {
        "num_tasks": LayerRecipe(TowerBank, PER_TASK[:, :2], {"num_tasks": 2, "hidden_units": (4, 2)}),
        **NETWORK,
    },
    BinaryHead: {"prior": 0.3},
    RegressionHead: {"mean": 4.0, "standard_deviation": 3.0},
}
