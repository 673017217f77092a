"""One loaded version of an exported model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2

from tfmtl.folders import ExportedVersion
from tfmtl.serving.protocol.signature import Signature, choose_signature, signatures_of
from tfmtl.serving.server.batch_rows import is_batchable, is_fillable
from tfmtl.serving.server.request_times import RequestTimes
from tfmtl.serving.server.signature_call import SignatureCall
from tfmtl.serving.serving_error import STATUS_CODES, ServingError

_SERVE_TAG = "serve"
# A graph error ends with its cause, after a trace of any length; gRPC puts messages into 8 KiB of headers.
_MAX_MESSAGE_CHARACTERS = 1000


class ServedModel:
    """A SavedModel in memory: its signatures, and calls to them on NumPy arrays.

    Thread-safe: any number of threads may call `predict` at once, and TensorFlow computes without the GIL.

    Args:
        directory: Path. An export, holding `saved_model.pb`.
        version: int. The number it is served under.

    Attributes:
        version: int.
        name: str. Name of the model; empty until the server sets it.
        times: RequestTimes or None. What its requests' times can be, as the export says.
        signatures: signature name -> Signature, of those that can be asked.
        signature_def_map: `SignatureDefMap` message, as `GetModelMetadata` returns it.

    Raises:
        ServingError: `NOT_FOUND` if the directory holds no `saved_model.pb`, `FAILED_PRECONDITION` if the
            export has no graph for serving.
        FolderError: a later version of the package wrote the export.
        Exception: whatever TensorFlow raises on an export it cannot load.
    """

    def __init__(self, directory: Path, version: int) -> None:
        export = ExportedVersion(directory)
        export.check_format("serve")
        self.version = version
        self.signature_def_map = _read_signature_definitions(export)
        # The functions hold only weak references to the variables: the whole SavedModel has to stay alive.
        self._saved_model = tf.saved_model.load(str(directory), tags=[_SERVE_TAG])
        self._calls = {name: SignatureCall(function) for name, function in self._saved_model.signatures.items()}
        known = signatures_of(self.signature_def_map.SerializeToString())
        self.signatures = {name: signature for name, signature in known.items() if name in self._calls}
        self.name = ""
        self.times = RequestTimes.load(directory)
        self._batchable = {name for name in self._calls if is_batchable(self.signatures[name])}
        # An export of ours reads lists that were filled up as it reads shorter ones; another model may not.
        self._is_ours = export.is_ours
        self._filling = {name for name in self._batchable if self._is_ours and is_fillable(self.signatures[name])}

    def signature(self, name: str = "") -> Signature:
        """Returns the named signature, `serving_default` for an empty name.

        Raises:
            ServingError: `FAILED_PRECONDITION`, as TF Serving, if the model has no such signature.
        """
        return choose_signature(self.signatures, name, self.version)

    @property
    def signature_names(self) -> list[str]:
        """Names of the signatures that can be asked."""
        return sorted(self._calls)

    def is_batchable(self, name: str) -> bool:
        """Whether requests to a signature can be put together, see `batch_rows.is_batchable`."""
        return name in self._batchable

    def fills_lists(self, name: str) -> bool:
        """Whether the shorter lists of such requests can be filled up with missing values without another answer."""
        return name in self._filling

    def check(self, signature: Signature, inputs: Mapping[str, npt.NDArray[Any]], output_filter: Sequence[str]) -> None:
        """Raises `ServingError` (`INVALID_ARGUMENT`) unless the signature takes and answers this.

        In an export of ours the columns of a sequence must have as many entries in each row: an entry is an event.
        """
        signature.check_inputs(inputs)
        if self._is_ours:
            signature.check_events(inputs)
        signature.check_output_names(output_filter)

    def predict(
        self,
        signature_name: str,
        inputs: Mapping[str, npt.NDArray[Any]],
        output_filter: Sequence[str] = (),
    ) -> dict[str, npt.NDArray[Any]]:
        """Checks the inputs and calls the signature.

        Args:
            signature_name: str. Empty means `serving_default`.
            inputs: mapping of every input's name to an array; object arrays hold `bytes`.
            output_filter: names of the outputs to return. Defaults to `()`, which returns all.

        Returns:
            Mapping of output name to array.

        Raises:
            ServingError: `FAILED_PRECONDITION` for an unknown signature, `INVALID_ARGUMENT` for inputs that do
                not fit it, and TensorFlow's own code if the graph itself rejects the values.
        """
        signature = self.signature(signature_name)
        self.check(signature, inputs, output_filter)
        try:
            return self._calls[signature.name](inputs, output_filter)
        except tf.errors.OpError as error:
            message = f"Signature {signature.name!r}: {error.message[-_MAX_MESSAGE_CHARACTERS:]}"
            raise ServingError(STATUS_CODES[error.error_code], message) from error
        except UnicodeDecodeError as error:
            # TensorFlow's message quotes a serialized example that cannot be parsed, and Python cannot read the quote.
            message = f"Signature {signature.name!r}: could not parse an example, which is not a serialized tf.Example"
            raise ServingError("INVALID_ARGUMENT", message) from error


def _read_signature_definitions(export: ExportedVersion) -> get_model_metadata_pb2.SignatureDefMap:
    """Reads the signatures as the exporter declared them; the loaded functions no longer know all of it."""
    path = export.saved_model
    if not export.is_there:
        raise ServingError("NOT_FOUND", f"{export.path} holds no {path.name}")
    saved_model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for meta_graph in saved_model.meta_graphs:
        if _SERVE_TAG in meta_graph.meta_info_def.tags:
            return get_model_metadata_pb2.SignatureDefMap(signature_def=meta_graph.signature_def)
    raise ServingError("FAILED_PRECONDITION", f"{path} holds no graph tagged {_SERVE_TAG!r}")
