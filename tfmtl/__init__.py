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
    if name not in __all__:
        raise AttributeError(f"module 'tfmtl' has no attribute {name!r}. It has: {__all__}.")
    module = f"tfmtl.{_FUNCTIONS.get(name, name)}"
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):  # another package is missing
            raise
        text = f"tfmtl: `{name}` is not part of tfmtl-client. Install the whole package: pip install tfmtl."
        raise ImportError(text, name=error.name) from error
    return getattr(found, name) if name in _FUNCTIONS else found


tell_keras()


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
