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
    "evaluate",
    "export",
    "frames",
    "layers",
    "losses",
    "metrics",
    "models",
    "operators",
    "optimizers",
    "prepare",
    "propose",
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


_FUNCTIONS = {
    "evaluate": "training",
    "prepare": "frames",
    "propose": "frames",
    "register_bottom": "layers.user_layers",
    "register_sharing": "layers.user_layers",
}


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"tfmtl.{_FUNCTIONS[name]}"), name)
    if name in __all__:
        try:
            return importlib.import_module(f"tfmtl.{name}")
        except ModuleNotFoundError as error:
            if error.name == f"tfmtl.{name}":
                text = f"tfmtl: `{name}` is not part of tfmtl-client. Install the whole package: pip install tfmtl."
                raise ImportError(text, name=error.name) from error
            raise
    raise AttributeError(f"module 'tfmtl' has no attribute {name!r}. It has: {__all__}.")


tell_keras()


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
