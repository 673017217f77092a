"""The folder of prepared data."""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tfmtl.folders.fitted_files import STATISTICS_FILE, TRAINING_FILE, VOCABULARIES, FittedFiles
from tfmtl.folders.folder_error import DataError
from tfmtl.folders.folder_format import check_format, format_facts
from tfmtl.schema.problem_file import PROBLEM_FILE
from tfmtl.schema.split import SPLITS

_OWNER = "PreparedData"
_AGAIN = "Run the preprocessing again."
_REJECTED_FILE = r"file-\d+\.jsonl"


class PreparedFolder:
    """What lies where in the output of `tfmtl preprocess`; `PreparedData` reads the records too.

    Its manifest is written last: what has one is complete. Workers write on file systems without folders, hence the
    names relative to the output, with `/` between their parts.

    Args:
        directory: str or Path. The output folder; need not exist.

    Attributes:
        directory: Path.
        manifest_file: Path.
        requests_file: Path. Real examples as raw requests.
        fitted: `FittedFiles`.
    """

    FORMAT = 1
    MANIFEST, REQUESTS, SPLIT_FILE = "manifest.json", "requests.jsonl", "split.parquet"
    TRANSFORM, REJECTED, SCRATCH = "transform", "rejected", "scratch"

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.manifest_file = self.directory / self.MANIFEST
        self.requests_file = self.directory / self.REQUESTS
        self.fitted = FittedFiles(self.directory / self.TRANSFORM)

    # === Names ===

    @staticmethod
    def record_file(split: str, bucket: int, num_buckets: int, is_packed: bool) -> str:
        """The records of a bucket's examples in a split."""
        return f"{split}/part-{bucket:05d}-of-{num_buckets:05d}.tfrecord{'.gz' if is_packed else ''}"

    @staticmethod
    def rejected_file(number: int) -> str:
        """The rejected rows of an input file."""
        return f"{PreparedFolder.REJECTED}/file-{number:05d}.jsonl"

    @staticmethod
    def is_rejected_file(name: str) -> bool:
        """Whether a file could be one of rejected rows; `name` without its folder."""
        return re.fullmatch(_REJECTED_FILE, name) is not None

    @classmethod
    def owns(cls, name: str) -> bool:
        """Whether preprocessing writes a file of this name, relative to the output."""
        return cls._OWN_FILE.fullmatch(name) is not None

    _OWN_FILE = re.compile(
        f"{re.escape(MANIFEST)}|{re.escape(REQUESTS)}|{re.escape(SPLIT_FILE)}"
        rf"|(?:{'|'.join(SPLITS)})/part-\d+-of-\d+\.tfrecord(?:\.gz)?|{REJECTED}/{_REJECTED_FILE}"
        rf"|{TRANSFORM}/(?:{re.escape(PROBLEM_FILE)}|{re.escape(STATISTICS_FILE)}|{re.escape(TRAINING_FILE)}"
        rf"|{VOCABULARIES}/\w+\.txt)"
    )

    # === Reading ===

    @property
    def is_complete(self) -> bool:
        """Whether the folder holds prepared data."""
        return self.manifest_file.is_file()

    def read_manifest(self) -> dict[str, Any]:
        """What the job wrote, counted.

        Raises:
            DataError: there is none, or it cannot be read.
            FolderError: a later version of the package wrote it.
        """
        if not self.is_complete:
            raise DataError(
                f"{_OWNER}: `directory` must be the output of `tfmtl preprocess`. Received: "
                f"directory='{self.directory}', which has no {self.MANIFEST}. Run the preprocessing first."
            )
        try:
            manifest = dict(json.loads(self.manifest_file.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise DataError(f"{_OWNER}: '{self.manifest_file}' is not readable: {error}. {_AGAIN}") from error
        check_format(_OWNER, self.directory, manifest, self.FORMAT)
        return manifest

    def requests(self) -> list[dict[str, Any]]:
        """Real examples as `{"features": raw request, "record": serialized record}`."""
        lines = self.requests_file.read_text(encoding="utf-8").split("\n")[:-1]
        requests = [json.loads(line) for line in lines]
        return [{**request, "record": base64.b64decode(request["record"])} for request in requests]

    def rejected_files(self) -> list[Path]:
        """The files of rejected rows, by input file."""
        return sorted((self.directory / self.REJECTED).glob("*.jsonl"))

    # === Writing ===

    def write_requests(self, requests: Iterable[Mapping[str, Any]]) -> None:
        """Writes examples as `requests` gives them, their records base64."""
        lines = [json.dumps(request, ensure_ascii=False) + "\n" for request in requests]
        self.requests_file.write_text("".join(lines), encoding="utf-8")

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Writes the manifest, with the format and who wrote it."""
        text = json.dumps({**format_facts(self.FORMAT), **manifest}, indent=1, ensure_ascii=False) + "\n"
        self.manifest_file.write_text(text, encoding="utf-8")
