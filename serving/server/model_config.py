"""The configuration of served models: folders, versions and labels."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from tfmtl.serving.serving_error import ServingError, invalid_argument, quote

_MOST_MODELS = _MOST_VERSIONS = 1000
_SHOWN = 20


@dataclass(frozen=True)
class ModelConfig:
    """One model of a server, as TF Serving's message of the same name describes it.

    Args:
        name: str. Name in requests, without `/` and `:`.
        base_dir: Path. Has one directory per version, named by its number.
        num_versions: int or None. Number of newest versions to serve, TF Serving's policy `latest`; None serves
            all, its policy `all`. Defaults to `1`.
        versions: tuple of int. The versions to serve and no others, its policy `specific`. Defaults to `()`, which
            leaves it to `num_versions`.
        labels: mapping of a label to the version it stands for in a request. Defaults to none.

    Raises:
        ValueError: if the name is not one, `num_versions` is not positive, or a label stands for a version that is not
            among `versions`.
    """

    name: str
    base_dir: Path
    num_versions: int | None = 1
    versions: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name or any(character in self.name for character in "/:"):
            raise ValueError(
                "ModelConfig: `name` must be a non-empty name without '/' and ':'. "
                f"Received: name={self.name!r}. It is part of the REST path."
            )
        if self.num_versions is not None and self.num_versions < 1:
            raise ValueError(
                "ModelConfig: `num_versions` must be at least 1. "
                f"Received: num_versions={self.num_versions!r}. Use 1 to serve the newest only."
            )
        served = set(self.versions)
        for label, version in self.labels.items():
            if served and version not in served:
                raise ValueError(
                    f"ModelConfig: `labels` must stand for served versions. Received: {label!r} for version {version} "
                    f"of {self.name!r}, which serves {list(self.versions[:_SHOWN])}. Add the version."
                )


def read_model_config_file(path: str | os.PathLike[str]) -> list[ModelConfig]:
    """Reads a `--model_config_file` of TF Serving, such as `tfmtl deploy-files` writes.

    Raises:
        ValueError: if the file is no such text.
        OSError: if it cannot be read.
        ServingError: as `model_configs`.
    """
    from tensorflow_serving.config import model_server_config_pb2  # loads TensorFlow

    config = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(Path(path).read_text(encoding="utf-8"), config)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ValueError(
            f"LocalServer: `model_config_file` must be a ModelServerConfig in protobuf text format. "
            f"Received: '{path}', {error}. `tfmtl deploy-files` writes one."
        ) from error
    return model_configs(config)


def model_configs(config: Any, roots: Sequence[Path] | None = None) -> list[ModelConfig]:
    """The models of a `ModelServerConfig` message.

    Args:
        config: the message.
        roots: the folders below which those of the models must lie. Defaults to None, anywhere.

    Raises:
        ServingError: `INVALID_ARGUMENT` if it is no list of models, has none, too many or one twice, or has one that
            is wrong in itself or without a folder; `PERMISSION_DENIED` for a folder that lies elsewhere.
    """
    messages = config.model_config_list.config
    if config.WhichOneof("config") != "model_config_list" or not messages:
        raise invalid_argument("The configuration must be a model_config_list of at least one model.")
    if len(messages) > _MOST_MODELS:
        raise invalid_argument(
            f"The configuration must not have more than {_MOST_MODELS} models. Received: {len(messages)}."
        )
    for name, count in Counter(message.name for message in messages).items():
        if count > 1:
            raise invalid_argument(f"The configuration has model {quote(name)} {count} times.")
    return [_model_config(message, roots) for message in messages]


def _model_config(message: Any, roots: Sequence[Path] | None) -> ModelConfig:
    if max(len(message.version_labels), len(message.model_version_policy.specific.versions)) > _MOST_VERSIONS:
        raise invalid_argument(
            f"Model {quote(message.name)}: there must not be more than {_MOST_VERSIONS} versions or labels."
        )
    if message.model_platform not in ("", "tensorflow"):
        raise invalid_argument(
            f"Model {quote(message.name)}: model_platform must be 'tensorflow'. "
            f"Received: {quote(message.model_platform)}."
        )
    base_dir = Path(message.base_path)
    if message.base_path and roots is not None and not _is_below(base_dir, roots):
        # Nothing is said of what is there.
        raise ServingError(
            "PERMISSION_DENIED",
            f"Model {quote(message.name)}: base_path must lie below {', '.join(map(str, roots))} "
            f"(the server's --reload-base). Received: {quote(message.base_path)}.",
        )
    if not message.base_path or not base_dir.is_dir():
        raise invalid_argument(
            f"Model {quote(message.name)}: base_path must be a directory. Received: {quote(message.base_path)}."
        )
    try:
        return ModelConfig(message.name, base_dir, labels=dict(message.version_labels), **_policy(message))
    except ValueError as error:
        raise invalid_argument(str(error)) from error


def _is_below(folder: Path, roots: Sequence[Path]) -> bool:
    """Whether the folder, wherever links lead, is one of the others or in one."""
    try:
        real = folder.resolve()
    except (OSError, ValueError, RuntimeError):  # links in a circle, no path at all
        return False
    return any(real.is_relative_to(root.resolve()) for root in roots)


def _policy(message: Any) -> dict[str, Any]:
    policy = message.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return {"num_versions": None}
    if kind == "specific":
        versions: Sequence[int] = sorted(set(policy.specific.versions))
        if not versions:
            raise invalid_argument(
                f"Model {quote(message.name)}: the policy 'specific' must name at least one version."
            )
        return {"versions": tuple(versions)}
    return {"num_versions": policy.latest.num_versions or 1}
