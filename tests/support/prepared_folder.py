"""Prepared folders as another run of the job would have written them."""

import json
from pathlib import Path

from tfmtl.core.checksum import file_checksum


def write_anew(folder: Path, name: str, text: str) -> None:
    """Replaces a file of a prepared folder, its checksum included: other data, and not damaged ones."""
    (folder / name).write_text(text, encoding="utf-8")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["checksums"][name] = file_checksum(folder / name)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
