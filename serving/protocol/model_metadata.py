"""The signatures of a served model version."""

from collections.abc import Mapping
from dataclasses import dataclass

from tfmtl.serving.protocol.signature import Signature


@dataclass(frozen=True)
class ModelMetadata:
    """The signatures of one served version.

    Args:
        version: int. The version that answered.
        signatures: mapping of signature name to `Signature`.
    """

    version: int
    signatures: Mapping[str, Signature]
