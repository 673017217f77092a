"""Multi-task recommender models for TensorFlow.

The subpackages load on first use, so that `import tfmtl.schema` starts neither
TensorFlow nor Keras.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"
__all__ = [
    "balancing",
    "data",
    "export",
    "layers",
    "losses",
    "metrics",
    "models",
    "operators",
    "optimizers",
    "report",
    "retrieval",
    "schema",
    "sharpness",
    "survival",
    "training",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"tfmtl.{name}")
    raise AttributeError(f"module 'tfmtl' has no attribute {name!r}. It has: {__all__}.")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
