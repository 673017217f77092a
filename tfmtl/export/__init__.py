"""Export a trained model as a version for a server, and verify that both give the same scores."""

from tfmtl.export.export_options import ExportOptions
from tfmtl.export.saved_model import export
from tfmtl.export.verify import Verification, VerificationError, verify

__all__ = ["ExportOptions", "Verification", "VerificationError", "export", "verify"]
