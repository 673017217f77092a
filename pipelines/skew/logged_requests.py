"""Requests and answers from the logs of TF Serving and of `tfmtl serve`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt
import tensorflow as tf
from google.protobuf.message import DecodeError

from tfmtl.export.serving_messages import message_class
from tfmtl.serving.protocol.tensor_proto import tensor_to_array

_PREDICTION_LOG = message_class("PredictionLog")
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class LoggedRequest:
    """One Predict request with its answer.

    Args:
        version: int or None. The version that answered; None where the log does not say.
        signature: str. Its name.
        inputs: input name -> array.
        outputs: output name -> array.
        seconds: int. When it was logged, in Unix time; 0 where the log does not say.
    """

    version: int | None
    signature: str
    inputs: Arrays
    outputs: Arrays
    seconds: int


@dataclass
class LogFolder:
    """The finished files below a folder: TFRecords of `PredictionLog`, packed if their name ends with `.gz`.

    A file whose name begins with a dot is still being written and left out.

    Args:
        folder: Path.

    Attributes:
        others: int. Records so far that are no Predict requests, or hold tensors that no server takes.
        warnings: list of str. Files so far that are damaged.

    Raises:
        FileNotFoundError: there is no file.
    """

    folder: Path
    others: int = 0
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.files = sorted(
            path
            for path in self.folder.rglob("*")
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(self.folder).parts)
        )
        if not self.files:
            raise FileNotFoundError(
                f"skew: no file in '{self.folder}'. Give the folder of `tfmtl serve --log-requests`, or of TF "
                "Serving's request logs."
            )

    def requests(self) -> Iterator[LoggedRequest]:
        """Yields the requests, file by file."""
        for file in self.files:
            records = 0
            compression = "GZIP" if file.suffix == ".gz" else ""
            try:
                for record in tf.data.TFRecordDataset(str(file), compression).as_numpy_iterator():
                    log = _PREDICTION_LOG.FromString(record)
                    records += 1
                    request = _read(log) if log.HasField("predict_log") else None
                    if request is None:
                        self.others += 1
                    else:
                        yield request
            except (tf.errors.DataLossError, DecodeError) as error:
                reason = str(error).splitlines()[0]
                self.warnings.append(f"'{file}' is damaged after {records} records and not read further: {reason}")


def _read(log: Any) -> LoggedRequest | None:
    request, response = log.predict_log.request, log.predict_log.response
    specs = [response.model_spec, log.log_metadata.model_spec, request.model_spec]
    versions = [spec.version.value for spec in specs if spec.HasField("version")]
    names = [spec.signature_name for spec in specs if spec.signature_name]
    try:
        inputs, outputs = (
            {name: tensor_to_array(tensor) for name, tensor in tensors.items()}
            for tensors in (request.inputs, response.outputs)
        )
    except ValueError:
        return None
    version = versions[0] if versions else None
    return LoggedRequest(
        version, names[0] if names else "serving_default", inputs, outputs, log.log_metadata.timestamp_secs
    )
