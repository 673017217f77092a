"""The folder of one version of an exported model."""

import json
from pathlib import Path

from tfmtl.folders.fitted_files import FittedFiles
from tfmtl.folders.folder_format import check_format, format_facts
from tfmtl.schema.problem import Problem


class ExportedVersion:
    """What lies where in a version that `export`, `export_operator`, `fit_retrieval` or `compose` wrote.

    A SavedModel, and beside it, in `assets.extra/`, what TensorFlow Serving leaves alone but for the warm-up requests.

    Args:
        path: str or Path. `<directory>/<version>`; need not exist.

    Attributes:
        path: Path.
        saved_model: Path. The graph; what has it is a version.
        extra: Path. Folder of all that follows.
        fitted: `FittedFiles`: problem file and statistics in `extra`, vocabularies among the SavedModel's assets.
        transform: Path. The identity of what was fitted.
        times: Path. Training's last time.
        profile: Path. How the training features are distributed.
        golden: Path. Real requests with the right answers.
        golden_rank: Path. The same for `rank`.
        golden_recommend: Path. The same for `recommend`.
        warmup: Path. The requests of a server's start.
        page: Path. How to ask, for people.
        schema: Path. How to ask, as a JSON schema.
        protoset: Path. The prediction service's messages.
        requests: Path. Folder of requests that are ready to send.
        calibration: Path. Of a calibrated model.
        reliability: Path. Its picture.
        tables: Path. Of a model with small tables: their form, what it saves and costs.
        operator: Path. Of an operator network: inputs, outputs, ranges.
        retrieval: Path. Of an index: options, epochs, recall.
        items: Path. Its items with their raw features.
        composed: Path. Of a joined model: what was joined and how.
    """

    FORMAT = 1
    EXTRA = "assets.extra"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.saved_model = self.path / "saved_model.pb"
        self.extra = extra = self.path / self.EXTRA
        self.fitted = FittedFiles(extra, self.path / "assets")
        self.transform = extra / "transform.json"
        self.times = extra / "times.json"
        self.profile = extra / "training_profile.json"
        self.golden = extra / "golden.jsonl"
        self.golden_rank = extra / "golden_rank.jsonl"
        self.golden_recommend = extra / "golden_recommend.jsonl"
        self.warmup = extra / "tf_serving_warmup_requests"
        self.page = extra / "signature.md"
        self.schema = extra / "signature.json"
        self.protoset = extra / "prediction_service.protoset"
        self.requests = extra / "requests"
        self.calibration = extra / "calibration.json"
        self.reliability = extra / "reliability.png"
        self.tables = extra / "tables.json"
        self.operator = extra / "operator.json"
        self.retrieval = extra / "retrieval.json"
        self.items = extra / "items.parquet"
        self.composed = extra / "compose.json"
        self._format = extra / "format.json"

    def rest_request(self, signature: str) -> Path:
        """A request over REST, ready to send."""
        return self.requests / f"{signature}.json"

    def grpc_request(self, signature: str) -> Path:
        """A request over gRPC, as JSON of its message."""
        return self.requests / f"{signature}.grpc.json"

    def relative(self, file: Path) -> str:
        """The name of one of its files, below `path`."""
        return file.relative_to(self.path).as_posix()

    def beside_page(self, file: Path) -> str:
        """The name of one of its files, for whoever reads the page in its folder."""
        return file.relative_to(self.extra).as_posix()

    @property
    def is_there(self) -> bool:
        """Whether the folder holds a SavedModel."""
        return self.saved_model.is_file()

    @property
    def is_ours(self) -> bool:
        """Whether this package exported a model of a problem; any SavedModel may lie in such a folder."""
        return self.fitted.problem.is_file()

    def read_problem(self) -> Problem:
        """The problem that the model is of."""
        return Problem.load(self.fitted.problem)

    def check_format(self, owner: str) -> None:
        """Raises `FolderError` where a later version of the package wrote the folder.

        Args:
            owner: str. Who asks, named first in the error.
        """
        if self._format.is_file():
            check_format(owner, self.path, dict(json.loads(self._format.read_text())), self.FORMAT)

    def write_format(self) -> None:
        """Writes the format and who wrote the version."""
        self._format.write_text(json.dumps(format_facts(self.FORMAT)) + "\n")
