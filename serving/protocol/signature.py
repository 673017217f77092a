"""The named inputs and outputs of a model's signature, and the check of a request against them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy.typing as npt

from tfmtl.schema.checks import did_you_mean
from tfmtl.schema.reserved import JOINT
from tfmtl.serving.protocol.feature_error import FeatureError
from tfmtl.serving.protocol.messages import MESSAGES
from tfmtl.serving.protocol.tensor_proto import data_type_name, dtype_name
from tfmtl.serving.serving_error import ServingError, invalid_argument, quote

# SavedModels list their own initialization among the signatures; it cannot be called.
LOADER_SIGNATURE = "__saved_model_init_op"
DEFAULT_SIGNATURE = "serving_default"


class TensorSpec(NamedTuple):
    """dtype and shape of one named tensor.

    Args:
        dtype: str. TensorFlow's name: `"float32"`, `"int64"`, `"string"`, ...
        shape: tuple of int or None, or None. None in the tuple is a free dimension, None instead of the tuple
            an unknown rank.
    """

    dtype: str
    shape: tuple[int | None, ...] | None

    @classmethod
    def from_tensor_info(cls, info: Any) -> "TensorSpec":
        """Reads a `TensorInfo` message."""
        shape = info.tensor_shape
        if shape.unknown_rank:
            return cls(data_type_name(info.dtype), None)
        sizes = [dim.size for dim in shape.dim]
        return cls(data_type_name(info.dtype), tuple([None if size < 0 else size for size in sizes]))

    def is_shape(self, shape: tuple[int, ...]) -> bool:
        """Returns whether an array of this shape fits."""
        if self.shape is None:
            return True
        if len(shape) != len(self.shape):
            return False
        # Thirteen inputs a request: `all` of a generator would take five times as long.
        for want, size in zip(self.shape, shape, strict=True):  # noqa: SIM110
            if want is not None and want != size:
                return False
        return True

    @property
    def is_batched(self) -> bool:
        """Whether the first dimension is free, and so the batch dimension."""
        return bool(self.shape) and self.shape is not None and self.shape[0] is None


@dataclass(frozen=True)
class Signature:
    """One signature of a model: its inputs and outputs.

    Args:
        name: str. For example `"serving_default"`.
        inputs: mapping of feature name to `TensorSpec`.
        outputs: mapping of output name to `TensorSpec`.
    """

    name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    @classmethod
    def from_signature_def(cls, name: str, definition: Any) -> "Signature":
        """Reads a `SignatureDef` message."""
        return cls(
            name=name,
            inputs={key: TensorSpec.from_tensor_info(definition.inputs[key]) for key in sorted(definition.inputs)},
            outputs={key: TensorSpec.from_tensor_info(definition.outputs[key]) for key in sorted(definition.outputs)},
        )

    @cached_property
    def _batched(self) -> frozenset[str]:
        return frozenset(name for name, spec in self.inputs.items() if spec.is_batched)

    def check_input_names(self, names: Iterable[str]) -> None:
        """Raises `FeatureError` unless `names` are exactly the inputs' names."""
        given = set(names)
        if given == self.inputs.keys():
            return
        for name in sorted(given - set(self.inputs)):
            hint = did_you_mean(name, self.inputs)
            raise FeatureError(
                f"Signature {self.name!r}: {quote(name)} is not an input. Known inputs: {sorted(self.inputs)}.{hint}",
                name,
            )
        for name in sorted(set(self.inputs) - given):
            spec = self.inputs[name]
            raise FeatureError(
                f"Signature {self.name!r}: input {name!r} is missing. Expected: dtype {spec.dtype}, "
                f"shape {_shape_text(spec.shape)}. Received inputs: {sorted(given)}.",
                name,
            )

    def check_inputs(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Checks names, dtypes, shapes and the shared batch dimension of a request.

        Inputs whose first dimension is free share it; an input with a fixed first dimension (one user for many
        candidates, say) stays out of that comparison.

        Args:
            arrays: mapping of feature name to array; object arrays are strings.

        Raises:
            FeatureError: it tells the feature, what was expected and what was received.
        """
        self.check_input_names(arrays)
        for name, array in arrays.items():
            spec = self.inputs[name]
            dtype = dtype_name(array)
            if dtype != spec.dtype:
                raise FeatureError(
                    f"Signature {self.name!r}: input {name!r} must have dtype {spec.dtype}. Received: dtype {dtype}.",
                    name,
                )
            if not spec.is_shape(array.shape):
                raise FeatureError(
                    f"Signature {self.name!r}: input {name!r} must have shape {_shape_text(spec.shape)}. "
                    f"Received: shape {_shape_text(array.shape)}.",
                    name,
                )
        if len({arrays[name].shape[0] for name in self._batched}) > 1:
            sizes = {name: arrays[name].shape[0] for name in arrays if name in self._batched}
            usual = Counter(sizes.values()).most_common(1)[0][0]
            odd = next(name for name, size in sizes.items() if size != usual)
            others = sorted(name for name, size in sizes.items() if size == usual)
            raise FeatureError(
                f"Signature {self.name!r}: inputs must share the batch dimension. "
                f"Received: {sizes[odd]} rows of {odd!r}, {usual} of {others}.",
                odd,
            )

    def check_events(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Raises `FeatureError` unless the columns of a sequence, `<sequence>__<column>`, have as many events.

        Args:
            arrays: as `check_inputs` has passed them.
        """
        for first, name in self._joint:
            wanted, length = arrays[first].shape[1], arrays[name].shape[1]
            if length != wanted:
                raise FeatureError(
                    f"Signature {self.name!r}: input {name!r} must have a value for each of the {wanted} events of "
                    f"{first!r}. Received: {length} values.",
                    name,
                )

    @cached_property
    def _joint(self) -> tuple[tuple[str, str], ...]:
        """Pairs of inputs whose lists belong together: the first column of a sequence, and each other."""
        columns: dict[str, list[str]] = {}
        for name, spec in self.inputs.items():
            sequence, joint, _ = name.partition(JOINT)
            if joint and spec.shape is not None and len(spec.shape) > 1 and spec.shape[1] is None:
                columns.setdefault(sequence, []).append(name)
        return tuple((names[0], name) for names in columns.values() for name in names[1:])

    def check_output_names(self, names: Iterable[str]) -> None:
        """Raises `ServingError` (`INVALID_ARGUMENT`) unless `names` are distinct outputs of this signature."""
        for name, count in Counter(names).items():
            if name not in self.outputs:
                raise invalid_argument(
                    f"Signature {self.name!r}: {quote(name)} is not an output. Known outputs: {sorted(self.outputs)}."
                )
            if count > 1:
                raise invalid_argument(f"Signature {self.name!r}: output {name!r} is asked for {count} times.")


def signatures_of(definitions: bytes) -> dict[str, Signature]:
    """The signatures that can be asked, of a serialized `SignatureDefMap`."""
    found = MESSAGES["SignatureDefMap"].FromString(definitions).signature_def
    return {
        name: Signature.from_signature_def(name, definition)
        for name, definition in found.items()
        if name != LOADER_SIGNATURE
    }


def choose_signature(signatures: Mapping[str, Signature], name: str, version: int) -> Signature:
    """Returns the named signature of a version, `serving_default` for an empty name.

    Raises:
        ServingError: `FAILED_PRECONDITION`, as TF Serving, if the version has no such signature.
    """
    name = name or DEFAULT_SIGNATURE
    if name not in signatures:
        raise ServingError(
            "FAILED_PRECONDITION",
            f"Serving signature {quote(name)} not found in version {version}. Known signatures: {sorted(signatures)}.",
        )
    return signatures[name]


def _shape_text(shape: tuple[int | None, ...] | None) -> str:
    """Returns the shape as in `(?, 3)`; `?` is a free dimension."""
    if shape is None:
        return "(any)"
    return "(" + ", ".join("?" if size is None else str(size) for size in shape) + ")"
