"""This package as a file that Spark hands to its workers."""

import os
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import tfmtl

_FOLDER = tempfile.TemporaryDirectory(prefix="tfmtl-spark-")  # as long as the process: workers may start late


@cache
def package_zip() -> str:
    """Path of a zip with the code that this process runs, so that no worker runs another version of it."""
    path = Path(_FOLDER.name) / f"tfmtl-{tfmtl.__version__}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        root = Path(tfmtl.__file__).parent
        for folder, _, names in os.walk(root, followlinks=True):  # in a checkout, pipelines and serving are links
            for name in names:
                if name.endswith(".py"):
                    archive.write(Path(folder, name), Path(folder, name).relative_to(root.parent).as_posix())
    return str(path)
