"""Write the files beside the records: the fitted transformation, requests, the manifest."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfmtl.core.checksum import file_checksum
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.preprocessing.reading import files
from tfmtl.schema import Problem


def write_fitted_files(
    directory: str,
    problem: Problem,
    statistics: TransformStatistics,
    requests: Sequence[Mapping[str, Any]],
    manifest: Mapping[str, Any],
) -> None:
    """Writes `transform/`, `requests.jsonl` and, last, `manifest.json` with their checksums below `directory`."""
    with tempfile.TemporaryDirectory(prefix="tfmtl-fitted-") as folder:
        local = Path(folder)
        statistics.save(local / "transform")
        problem.save(local / "transform" / "problem.yaml")
        lines = [json.dumps(request, ensure_ascii=False) + "\n" for request in requests]
        (local / "requests.jsonl").write_text("".join(lines), encoding="utf-8")
        written = sorted(path for path in local.rglob("*") if path.is_file())
        checksums = {path.relative_to(local).as_posix(): file_checksum(path) for path in written}
        whole = {**manifest, "checksums": dict(sorted({**manifest["checksums"], **checksums}.items()))}
        text = json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
        (local / "manifest.json").write_text(text, encoding="utf-8")
        for path in [*written, local / "manifest.json"]:
            files.put(path, files.join(directory, *path.relative_to(local).parts))
