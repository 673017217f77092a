"""Recipes of the embedding layers."""

from tests.conformance.recipes.inputs import encoded_features, model_inputs
from tests.support.layer_checks import LayerRecipe
from tfmtl.layers.embedding.feature_embedding import FeatureEmbedding

RECIPES = (
    LayerRecipe(FeatureEmbedding, encoded_features(), {"inputs": model_inputs()}),
    LayerRecipe(FeatureEmbedding, encoded_features(), {"inputs": model_inputs(), "copies": 3}),
)

ALTERNATIVES = {FeatureEmbedding: {"inputs": model_inputs(age_dim=8), "dim": 5, "copies": 2}}
