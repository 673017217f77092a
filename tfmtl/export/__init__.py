"""From a trained model to a version that a server takes, and the proof that both answer alike."""

from tfmtl.export.export_options import ExportOptions
from tfmtl.export.saved_model import export
from tfmtl.export.verify import Verification, VerificationError, verify

__all__ = ["ExportOptions", "Verification", "VerificationError", "export", "verify"]
