"""Recipes of the embedding layers."""

from tests.conformance.recipes.inputs import encoded_features, model_inputs, normal
from tests.support.layer_checks import LayerRecipe
from tfmtl.layers.embedding.feature_embedding import FeatureEmbedding
from tfmtl.layers.embedding.piecewise_numbers import PiecewiseNumbers

RECIPES = (
    LayerRecipe(FeatureEmbedding, encoded_features(), {"inputs": model_inputs()}),
    LayerRecipe(FeatureEmbedding, encoded_features(), {"inputs": model_inputs(), "copies": 3}),
    LayerRecipe(FeatureEmbedding, encoded_features(), {"inputs": model_inputs(), "number_bins": 3}),
    LayerRecipe(PiecewiseNumbers, normal(6, 3), {"dim": 4, "num_bins": 5}),
)

ALTERNATIVES = {
    FeatureEmbedding: {"inputs": model_inputs(age_dim=8), "dim": 5, "copies": 2, "number_bins": 2},
    PiecewiseNumbers: {"dim": 3, "num_bins": 2},
}
