"""Which models a server serves: their folders, versions and labels."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from serving.serving_error import invalid_argument


@dataclass(frozen=True)
class ModelConfig:
    """One model of a server, as TF Serving's message of the same name describes it.

    Args:
        name: str. What clients ask for, without `/` and `:`.
        base_dir: Path. Holds one directory a version, named by its number.
        num_versions: int or None. How many of the newest versions to serve, TF Serving's policy `latest`; None serves
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
        for label, version in self.labels.items():
            if self.versions and version not in self.versions:
                raise ValueError(
                    f"ModelConfig: `labels` must stand for served versions. Received: {label!r} for version {version} "
                    f"of {self.name!r}, which serves {list(self.versions)}. Add the version."
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


def model_configs(config: Any) -> list[ModelConfig]:
    """The models of a `ModelServerConfig` message.

    Raises:
        ServingError: `INVALID_ARGUMENT` if it is no list of models, has none, has one twice, or has one that is wrong
            in itself or without a folder.
    """
    if config.WhichOneof("config") != "model_config_list" or not config.model_config_list.config:
        raise invalid_argument("The configuration must be a model_config_list of at least one model.")
    models = [_model_config(each) for each in config.model_config_list.config]
    names = [model.name for model in models]
    for name in names:
        if names.count(name) > 1:
            raise invalid_argument(f"The configuration has model {name!r} {names.count(name)} times.")
    return models


def _model_config(message: Any) -> ModelConfig:
    if message.model_platform not in ("", "tensorflow"):
        raise invalid_argument(
            f"Model {message.name!r}: model_platform must be 'tensorflow'. Received: {message.model_platform!r}."
        )
    base_dir = Path(message.base_path)
    if not message.base_path or not base_dir.is_dir():
        raise invalid_argument(
            f"Model {message.name!r}: base_path must be a directory. Received: {message.base_path!r}."
        )
    try:
        return ModelConfig(message.name, base_dir, labels=dict(message.version_labels), **_policy(message))
    except ValueError as error:
        raise invalid_argument(str(error)) from error


def _policy(message: Any) -> dict[str, Any]:
    policy = message.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return {"num_versions": None}
    if kind == "specific":
        versions: Sequence[int] = sorted(set(policy.specific.versions))
        if not versions:
            raise invalid_argument(f"Model {message.name!r}: the policy 'specific' must name at least one version.")
        return {"versions": tuple(versions)}
    return {"num_versions": policy.latest.num_versions or 1}
