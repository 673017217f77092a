"""This package as a file that Spark hands to its workers."""

import tempfile
import zipfile
from functools import cache
from pathlib import Path

import pipelines
import tfmtl

_FOLDER = tempfile.TemporaryDirectory(prefix="tfmtl-spark-")  # as long as the process: workers may start late


@cache
def package_zip() -> str:
    """Path of a zip with the code that this process runs, so that no worker runs another version of it."""
    path = Path(_FOLDER.name) / f"tfmtl-{tfmtl.__version__}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for package in (tfmtl, pipelines):
            root = Path(str(package.__file__)).parent
            for source in sorted(root.rglob("*.py")):
                archive.write(source, source.relative_to(root.parent).as_posix())
    return str(path)
