"""Sharpness-aware methods: how the weights are moved before the gradient is computed."""

from typing import Any

import keras

from tfmtl.schema.checks import check_one_of, error_text
from tfmtl.sharpness.asam import ASAM
from tfmtl.sharpness.sam import SAM
from tfmtl.sharpness.sharpness import Sharpness

__all__ = ["ASAM", "SAM", "SHARPNESS", "Sharpness", "get_sharpness"]

SHARPNESS: dict[str, type[SAM] | type[ASAM]] = {"sam": SAM, "asam": ASAM}


def get_sharpness(identifier: Any) -> Sharpness:
    """Returns a method.

    Args:
        identifier: A name in `SHARPNESS` for the method with its defaults, a `Sharpness`, or its serialized form (a
            dict, from `keras.saving.serialize_keras_object`).

    Raises:
        ValueError: there is no method of that name.
        TypeError: `identifier` is none of these.
    """
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, Sharpness):
        return identifier
    if isinstance(identifier, str):
        check_one_of("get_sharpness", "identifier", identifier, list(SHARPNESS))
        return SHARPNESS[identifier]()
    rule, advice = "be a name or a Sharpness", f"Use one of {list(SHARPNESS)}."
    raise TypeError(error_text("get_sharpness", "identifier", rule, identifier, advice))
