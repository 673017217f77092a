"""Options of batching requests."""

import os
from dataclasses import dataclass, fields
from pathlib import Path

from google.protobuf import text_format

from tfmtl.serving.protocol.messages import make_message_classes

# TF Serving's `BatchingParameters`, in session_bundle_config.proto; the wrappers are those of google.protobuf.
_PARAMETERS = make_message_classes(
    "tfmtl.batching",
    {
        "Value": {"value": (1, "int64")},
        "Text": {"value": (1, "string")},
        "BatchingParameters": {
            "max_batch_size": (1, "Value"),
            "batch_timeout_micros": (2, "Value"),
            "max_enqueued_batches": (3, "Value"),
            "num_batch_threads": (4, "Value"),
            "thread_pool_name": (5, "Text"),
            "allowed_batch_sizes": (6, "[int64]"),
            "pad_variable_length_inputs": (7, "bool"),
        },
    },
)["BatchingParameters"]


@dataclass(frozen=True)
class BatchingOptions:
    """Options of batching, with TF Serving's names and meaning.

    Args:
        max_batch_size: int. Largest number of rows of a batch; a larger request is computed alone. `1` computes every
            request alone. Defaults to `64`.
        batch_timeout_micros: int. Longest time that a batch waits for more rows, in microseconds. It does not wait
            when as many requests are together as were under way lately, so that a client that is alone does not pay
            for it. Defaults to `5000`.
        max_enqueued_batches: int. Batches that wait at most; a request that would begin another is refused with
            `RESOURCE_EXHAUSTED`. Defaults to `100`.
        num_batch_threads: int. Number of batches computed at the same time. Defaults to half the number of cores:
            TensorFlow shares a batch's work among threads of its own, and two half batches cost more than a whole one.

    Raises:
        ValueError: if an option is out of range.
    """

    max_batch_size: int = 64
    batch_timeout_micros: int = 5000
    max_enqueued_batches: int = 100
    num_batch_threads: int = max(1, (os.cpu_count() or 1) // 2)

    def __post_init__(self) -> None:
        for field in fields(self):
            value, least = getattr(self, field.name), 0 if field.name == "batch_timeout_micros" else 1
            if value < least:
                raise ValueError(
                    f"BatchingOptions: `{field.name}` must be at least {least}. "
                    f"Received: {field.name}={value!r}. Leave it out for the default."
                )

    @classmethod
    def none(cls) -> "BatchingOptions":
        """Every request is computed alone, as many at a time as there are cores; 1000 may wait."""
        return cls(max_batch_size=1, max_enqueued_batches=1000, num_batch_threads=os.cpu_count() or 1)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "BatchingOptions":
        """Reads a `--batching_parameters_file` of TF Serving, such as `tfmtl deploy-files` writes.

        `allowed_batch_sizes` and `thread_pool_name` are of no use here: a graph on a CPU takes any number of rows.

        Raises:
            ValueError: if the file is no such text or an option is out of range.
            OSError: if it cannot be read.
        """
        try:
            parameters = text_format.Parse(Path(path).read_text(encoding="utf-8"), _PARAMETERS())
        except (text_format.ParseError, UnicodeDecodeError) as error:
            raise ValueError(
                f"BatchingOptions: '{path}' must be a batching file in protobuf text format. Received: {error}. "
                "`tfmtl deploy-files` writes one."
            ) from error
        names = [field.name for field in fields(cls)]
        return cls(**{name: getattr(parameters, name).value for name in names if parameters.HasField(name)})
