"""Recipes of towers and heads."""

from tests.conformance.recipes.inputs import BATCH, NETWORK, PER_TASK, normal
from tests.support.layer_checks import LayerRecipe
from tfmtl.layers.heads.binary_head import BinaryHead
from tfmtl.layers.heads.conversion_chain import ConversionChain
from tfmtl.layers.heads.information_transfer import InformationTransfer
from tfmtl.layers.heads.multiclass_head import MulticlassHead
from tfmtl.layers.heads.ordinal_head import OrdinalHead
from tfmtl.layers.heads.quantile_head import QuantileHead
from tfmtl.layers.heads.regression_head import RegressionHead
from tfmtl.layers.heads.survival_head import SurvivalHead
from tfmtl.layers.heads.tower_bank import TowerBank
from tfmtl.layers.heads.zero_inflated_head import ZeroInflatedHead

RECIPES = (
    LayerRecipe(TowerBank, PER_TASK, {"num_tasks": 3, "hidden_units": (4, 2)}),
    LayerRecipe(BinaryHead, normal(BATCH, 5), {"prior": 0.2}, output_dtype="float32"),
    LayerRecipe(RegressionHead, normal(BATCH, 5), {"mean": 3.0, "standard_deviation": 2.0}, output_dtype="float32"),
    LayerRecipe(SurvivalHead, normal(BATCH, 5), {"edges": (1.0, 2.5, 6.0)}, output_dtype="float32"),
    *(
        LayerRecipe(SurvivalHead, normal(BATCH, 5), {"edges": (1.0, 2.5), "model": model}, output_dtype="float32")
        for model in ("piecewise_hazard", "mtlr", "cox", "aft")
    ),
    LayerRecipe(
        SurvivalHead,
        normal(BATCH, 5),
        {"edges": (1.0, 2.5), "num_causes": 2, "hazards": ((0.1, 0.2), (0.3, 0.1))},
        output_dtype="float32",
    ),
    LayerRecipe(SurvivalHead, normal(BATCH, 5), {"edges": (1.0, 2.5, 6.0), "shapes": 2}, output_dtype="float32"),
    LayerRecipe(MulticlassHead, normal(BATCH, 5), {"shares": (0.2, 0.3, 0.5)}, output_dtype="float32"),
    LayerRecipe(OrdinalHead, normal(BATCH, 5), {"shares": (0.2, 0.3, 0.1, 0.4)}, output_dtype="float32"),
    LayerRecipe(QuantileHead, normal(BATCH, 5), {"starts": (1.0, 3.0, 4.0), "mean": 3.0}, output_dtype="float32"),
    LayerRecipe(ZeroInflatedHead, normal(BATCH, 5), {"share": 0.2, "log_mean": 1.0}, output_dtype="float32"),
    LayerRecipe(ConversionChain, normal(BATCH, 3), {"parents": (None, 0, 1)}, output_dtype="float32"),
    LayerRecipe(ConversionChain, normal(BATCH, 4), {"parents": (2, None, 1, 1)}, output_dtype="float32"),
    LayerRecipe(InformationTransfer, PER_TASK, {"parents": (None, 0, 1)}),
    LayerRecipe(InformationTransfer, PER_TASK, {"parents": (1, None, 1), "dropout": 0.1}),
    LayerRecipe(InformationTransfer, PER_TASK, {"parents": (None, None, None)}),
)

ALTERNATIVES = {
    # Its inputs have to have as many tasks as it has towers, hence a recipe in place of the value.
    TowerBank: {
        "num_tasks": LayerRecipe(TowerBank, PER_TASK[:, :2], {"num_tasks": 2, "hidden_units": (4, 2)}),
        **NETWORK,
    },
    BinaryHead: {"prior": 0.3},
    RegressionHead: {"mean": 4.0, "standard_deviation": 3.0},
    SurvivalHead: {
        "edges": (1.0, 2.5),
        "hazards": (0.3, 0.2, 0.1),
        "model": "cox",
        "interpolation": "constant_hazard",
        "num_causes": 2,
        "shapes": 2,
        "distribution": LayerRecipe(
            SurvivalHead, normal(BATCH, 5), {"edges": (1.0, 2.5, 6.0), "model": "aft", "distribution": "extreme"}
        ),
    },
    MulticlassHead: {"shares": (0.3, 0.3, 0.4)},
    OrdinalHead: {"shares": (0.3, 0.2, 0.1, 0.4)},
    QuantileHead: {"starts": (1.0, 2.0, 4.0), "mean": 2.0, "standard_deviation": 2.0},
    ZeroInflatedHead: {"share": 0.3, "log_mean": 2.0, "log_deviation": 2.0},
    ConversionChain: {"parents": (None, 0, 0)},
    InformationTransfer: {"parents": (None, 0, 0), "dropout": 0.5},
}
