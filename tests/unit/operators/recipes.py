"""One recipe or more for every layer of operator networks."""

from typing import Any

import keras
import numpy as np

from tests.support.layer_checks import LayerRecipe
from tfmtl.operators import (
    ConvBranch,
    HyperBranch,
    MergedBranch,
    MLPBranch,
    MLPTrunk,
    PeriodicTrunk,
    PODTrunk,
    Standardize,
)

_RANDOM = np.random.default_rng(0)


def _normal(*shape: int) -> np.ndarray:
    return _RANDOM.normal(size=shape).astype("float32")


VECTORS = {"coefficients": _normal(6, 4), "initial": _normal(6, 8)}
IMAGES = {"log_k": _normal(6, 8, 8), "geometry": (_normal(6, 8, 8) > 0).astype("float32")}
POINTS = _RANDOM.uniform(size=(6, 2)).astype("float32")
AXES = [[0.0, 0.5, 1.0], [0.0, 0.25, 0.5, 0.75]]


class OfBranches(LayerRecipe):
    """A recipe whose layer is made of layers: each creation makes them anew."""

    def create(self, **kwargs: Any) -> keras.layers.Layer:
        branches = [type(b).from_config({**b.get_config(), **kwargs}) for b in self.arguments["branches"]]
        return self.layer_class(**{**self.arguments, "branches": branches}, **kwargs)


def _pair(width: int = 5) -> list:
    return [MLPBranch(["coefficients"], (5,)), MLPBranch(["initial"], (4, width), "tanh")]


RECIPES = (
    LayerRecipe(MLPBranch, VECTORS, {"inputs": ["coefficients", "initial"], "hidden_units": (5, 3)}),
    LayerRecipe(MLPBranch, IMAGES, {"inputs": ["log_k"], "hidden_units": (3,), "activation": "tanh"}),
    LayerRecipe(
        ConvBranch, IMAGES, {"inputs": ["log_k"], "geometry": "geometry", "filters": (2, 3), "hidden_units": (4,)}
    ),
    LayerRecipe(ConvBranch, IMAGES, {"inputs": ["log_k"], "filters": (2,), "kernel_size": 2, "hidden_units": (4,)}),
    OfBranches(MergedBranch, VECTORS, {"branches": _pair()}),
    OfBranches(MergedBranch, VECTORS, {"branches": _pair(3), "merge": "concatenate"}),
    LayerRecipe(
        HyperBranch,
        VECTORS,
        {"inputs": ["initial"], "condition": "coefficients", "hidden_units": (5, 3), "condition_units": 4},
    ),
    LayerRecipe(MLPTrunk, POINTS, {"latent_dim": 3, "hidden_units": (5, 4)}),
    LayerRecipe(MLPTrunk, POINTS, {"latent_dim": 3, "hidden_units": (5, 4), "output_activation": "gelu"}),
    LayerRecipe(PeriodicTrunk, POINTS, {"waves": 2, "latent_dim": 3, "hidden_units": (5, 4)}),
    LayerRecipe(
        PeriodicTrunk, POINTS, {"waves": 2, "latent_dim": 3, "hidden_units": (5,), "output_activation": "tanh"}
    ),
    LayerRecipe(PODTrunk, POINTS, {"axes": AXES, "latent_dim": 3}, output_dtype="float32"),
    LayerRecipe(Standardize, POINTS),
    LayerRecipe(Standardize, IMAGES["log_k"], {"statistics": "field"}),
)
