"""From a trained model to a version that a server takes, and the proof that both answer alike."""

from tfmtl.export.saved_model import export
from tfmtl.export.verify import Verification, VerificationError, verify

__all__ = ["Verification", "VerificationError", "export", "verify"]
