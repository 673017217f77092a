"""Multi-task recommender models for TensorFlow.

The subpackages load on first use, so that `import tfmtl.schema` starts neither
TensorFlow nor Keras.
"""

import importlib
from typing import Any

from tfmtl.keras_classes import tell_keras

__version__ = "0.1.0"
__all__ = [
    "balancing",
    "baselines",
    "data",
    "export",
    "layers",
    "losses",
    "metrics",
    "models",
    "operators",
    "optimizers",
    "register_bottom",
    "register_sharing",
    "report",
    "retrieval",
    "schema",
    "sharpness",
    "survival",
    "testing",
    "training",
]


_REGISTER = ("register_bottom", "register_sharing")


def __getattr__(name: str) -> Any:
    if name in _REGISTER:
        return getattr(importlib.import_module("tfmtl.layers.user_layers"), name)
    if name in __all__:
        return importlib.import_module(f"tfmtl.{name}")
    raise AttributeError(f"module 'tfmtl' has no attribute {name!r}. It has: {__all__}.")


tell_keras()


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
