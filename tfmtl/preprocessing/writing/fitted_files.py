"""Write the files beside the records: the fitted transformation, requests, the manifest."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfmtl.core.checksum import file_checksum
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.folders import PreparedFolder
from tfmtl.preprocessing.reading import files
from tfmtl.schema import Problem


def write_fitted_files(
    directory: str,
    problem: Problem,
    statistics: TransformStatistics,
    requests: Sequence[Mapping[str, Any]],
    manifest: Mapping[str, Any],
) -> None:
    """Writes the transformation, the requests and, last, the manifest with their checksums below `directory`."""
    with tempfile.TemporaryDirectory(prefix="tfmtl-fitted-") as folder:
        local = Path(folder)
        prepared = PreparedFolder(local)
        statistics.save(prepared.fitted.directory)
        problem.save(prepared.fitted.problem)
        prepared.write_requests(requests)
        written = sorted(path for path in local.rglob("*") if path.is_file())
        checksums = {path.relative_to(local).as_posix(): file_checksum(path) for path in written}
        whole = {**manifest, "checksums": dict(sorted({**manifest["checksums"], **checksums}.items()))}
        prepared.write_manifest(whole)
        for path in [*written, prepared.manifest_file]:
            files.put(path, files.join(directory, *path.relative_to(local).parts))
