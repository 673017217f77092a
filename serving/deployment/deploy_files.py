"""Write the files for running exported models under TF Serving."""

import json
import logging
import math
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tfmtl.folders import ExportedVersion
from tfmtl.folders.version_folders import find_versions
from tfmtl.schema.checks import check_positive_number
from tfmtl.serving.deployment.batching import choose_batching, measure_batches

logger = logging.getLogger(__name__)

TEMPLATES = Path(__file__).parent / "templates"
_MODELS = "/models"  # where the containers see the exports
_MEBIBYTE = 2**20
_SERVER_MEBIBYTES = 512
# Both stand in YAML, in addresses and in a shell's command.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:-]*(@sha256:[0-9a-f]{64})?")


@dataclass(frozen=True)
class DeployOptions:
    """Options of the deployment files.

    Args:
        canary: bool. The newest version of each model gets the label `canary` and the one before it `stable`; else the
            newest is `stable`. Defaults to `False`.
        budget: float. Milliseconds from a request's arrival to its answer, for batching. Defaults to `50.0`.
        cpus: int. Cores of one server. Defaults to `2`.
        image: str. The container image, best with its digest, `name:tag@sha256:...`, since a tag can be moved.
            Defaults to `"tensorflow/serving:2.21.0"`.
    """

    canary: bool = False
    budget: float = 50.0
    cpus: int = 2
    image: str = "tensorflow/serving:2.21.0"

    def __post_init__(self) -> None:
        for argument, value in (("budget", self.budget), ("cpus", self.cpus)):
            check_positive_number("DeployOptions", argument, value, "Use 1 or more.")
        if not _IMAGE.fullmatch(self.image):
            raise ValueError(
                f"DeployOptions: `image` must be a container image. Received: image={self.image!r}. "
                "Give it as name:tag, or as name:tag@sha256:... with its digest."
            )


def write_deploy_files(models: Mapping[str, Path], output: Path, options: DeployOptions) -> dict[int, float]:
    """Writes the configuration of the model server, container and Kubernetes files and a runbook.

    Args:
        models: name -> folder of its exported versions, at least one. The first is the one that batching is measured
            on and that readiness asks about.
        output: where the files go; what they overwrite is their own.
        options: `DeployOptions`.

    Returns:
        Milliseconds of a batch by its size, as measured.

    Raises:
        FileNotFoundError: a folder holds no version.
        ValueError: there is only one version to choose a canary and a stable one from, the budget is too small, or a
            model's name is no plain name.
    """
    for name in models:
        if not _NAME.fullmatch(name):
            raise ValueError(
                "deploy-files: a model's name must be of letters, digits, '.', '_' and '-'. "
                f"Received: {name!r}. Set `name` in its problem file and export it again."
            )
    if "@sha256:" not in options.image:
        logger.warning("The image %s has no digest, so it may change; the runbook says how to pin it.", options.image)
    labels = {name: _labels(folder, options.canary) for name, folder in models.items()}
    first = next(iter(models))
    times = measure_batches(_exports(models[first])[max(labels[first].values())])
    batching = choose_batching(times, options.budget, options.cpus)
    measured = "".join(f"#   {size:>4} rows  {milliseconds:>8.2f} ms\n" for size, milliseconds in times.items())
    header = (
        f"# For requests of the signature serve_examples to `{first}`, to be answered in about {options.budget:g} ms\n"
        f"# by {options.cpus} cores. Measured, median of a call:\n{measured}"
    )
    output.mkdir(parents=True, exist_ok=True)
    (output / "models.config").write_text(_model_config(labels))
    (output / "batching.config").write_text(header + batching.text())
    values = {
        "name": first,
        "image": options.image,
        "cpus": str(options.cpus),
        "mebibytes": str(_mebibytes(list(models.values()))),
        "mounts": "\n".join(
            f"    - {{type: bind, source: {_quoted(folder.resolve())}, target: {_MODELS}/{name}, read_only: true}}"
            for name, folder in models.items()
        ),
        "folders": "\n".join(f"- `{_MODELS}/{name}/<version>/`" for name in models),
        "stable": str(labels[first]["stable"]),
    }
    for template in sorted(path for path in TEMPLATES.rglob("*") if path.is_file()):
        path = output / template.relative_to(TEMPLATES)
        path.parent.mkdir(exist_ok=True)
        # Only $name and ${name} of ours are filled in; a shell's own variables stay.
        path.write_text(string.Template(template.read_text(encoding="utf-8")).safe_substitute(values), encoding="utf-8")
    return times


def _quoted(path: Path) -> str:
    """A path in YAML, in which Compose would fill in what begins with a dollar sign."""
    return json.dumps(str(path), ensure_ascii=False).replace("$", "$$")


def _exports(folder: Path) -> dict[int, Path]:
    """Version -> its folder, of those that hold a model."""
    versions = find_versions(folder) if folder.is_dir() else {}
    return {version: path for version, path in versions.items() if ExportedVersion(path).is_there}


def _labels(folder: Path, canary: bool) -> dict[str, int]:
    """Label -> version of one model."""
    versions = sorted(_exports(folder))
    if not versions:
        raise FileNotFoundError(f"deploy-files: '{folder}' holds no version. Give the output folder of `tfmtl export`.")
    if not canary:
        return {"stable": versions[-1]}
    if len(versions) == 1:
        raise ValueError(
            "deploy-files: `canary` must have a version before it. Received: only version "
            f"{versions[0]} in '{folder}'. Export the new model into the same folder."
        )
    return {"stable": versions[-2], "canary": versions[-1]}


def _model_config(labels: Mapping[str, Mapping[str, int]]) -> str:
    """The text of a `--model_config_file`: the labeled versions of each model, and no others."""
    config = model_server_config_pb2.ModelServerConfig()
    for name, versions in labels.items():
        model = config.model_config_list.config.add(
            name=name, base_path=f"{_MODELS}/{name}", model_platform="tensorflow"
        )
        model.model_version_policy.specific.versions.extend(sorted(set(versions.values())))
        for label, version in versions.items():
            model.version_labels[label] = version
    return str(text_format.MessageToString(config))


def _mebibytes(folders: list[Path]) -> int:
    """Memory of a server: two versions of each model while one replaces the other, and as much again to load them."""
    largest = 0
    for folder in folders:
        exports = _exports(folder).values()
        largest += max(sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) for path in exports)
    return _SERVER_MEBIBYTES + math.ceil(4 * largest / _MEBIBYTE)
