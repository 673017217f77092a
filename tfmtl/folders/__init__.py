"""The folders that every step leaves: their files' names, who wrote them, and whether they can be read.

No other code spells the names. Nothing here loads TensorFlow: servers and clients read exports too.
"""

from tfmtl.folders.exported_version import ExportedVersion
from tfmtl.folders.folder_error import DataError, FolderError
from tfmtl.folders.prepared_folder import PreparedFolder
from tfmtl.folders.trained_run import TrainedRun

__all__ = ["DataError", "ExportedVersion", "FolderError", "PreparedFolder", "TrainedRun"]
