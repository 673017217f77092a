"""Old names in saved models, and their names today; only `tfmtl.models.load` reads this table."""

import io
import json
import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

_CONFIG = "config.json"
_WEIGHTS = "model.weights.h5"

CLASSES = {
    "BehaviourHypernetwork": "BehaviorHypernetwork",
    "SharedBottom": "SharedNetwork",
    "SharedBottomRepresentation": "ConcatenationBottom",
}
"""Old name of a class -> its name today."""

ARGUMENTS = {
    "DTRNBottom": {"behaviour_dim": "behavior_dim"},
    "HyperSequenceEncoder": {"behaviour_dim": "behavior_dim"},
    "BehaviorHypernetwork": {"behaviour_dim": "behavior_dim", "num_behaviours": "num_behaviors"},
    "SoftSelectionBottom": {"shared_stream": "public_representation"},
}
"""Today's name of a class -> old name of an argument -> the argument's name today."""

COMPILE_ARGUMENTS = {"shared": "balance_at"}
"""Old name of an argument of `MultiTaskModel.compile` -> its name today."""


def with_today_names(config: Any) -> Any:
    """The config of a saved model, or a part of it, with today's name of every class and argument."""
    if isinstance(config, list):
        return [with_today_names(item) for item in config]
    if not isinstance(config, dict):
        return config
    found = {key: with_today_names(value) for key, value in config.items()}
    if isinstance(found.get("compile_config"), dict):
        arguments = found["compile_config"]
        found["compile_config"] = {COMPILE_ARGUMENTS.get(key, key): value for key, value in arguments.items()}
    name = found.get("class_name")
    if isinstance(name, str) and isinstance(found.get("config"), dict):
        package, mark, registered = str(found.get("registered_name")).rpartition(">")
        if mark:
            found["registered_name"] = f"{package}>{CLASSES.get(registered, registered)}"
        found["class_name"] = name = CLASSES.get(name, name)
        renamed = ARGUMENTS.get(name, {})
        found["config"] = {renamed.get(key, key): value for key, value in found["config"].items()}
    return found


@contextmanager
def renamed(path: Path) -> Iterator[Path]:
    """A `.keras` file with the content of `path` in today's names: `path` itself, or a temporary copy."""
    contents = _renamed_contents(path)
    if contents is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="tfmtl-load-") as folder:
        copy = Path(folder, path.name)
        with zipfile.ZipFile(copy, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        yield copy


def _renamed_contents(path: Path) -> dict[str, bytes] | None:
    """File name -> content, with today's names.

    `None` if no name is old, and if the file cannot be read: Keras then says what is wrong with it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read(_CONFIG))
            today = with_today_names(config)
            if today == config:
                return None
            rest = {name: archive.read(name) for name in archive.namelist() if name != _CONFIG}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    if _WEIGHTS in rest:
        rest[_WEIGHTS] = _with_today_groups(rest[_WEIGHTS])
    return {_CONFIG: json.dumps(today).encode(), **rest}


def _with_today_groups(weights: bytes) -> bytes:
    """The weights of a saved model with today's names: Keras names the group of a model's own layer after its class."""
    file = io.BytesIO(weights)
    with h5py.File(file, "r+") as groups:
        layers = groups.get("layers", {})
        for old, new in CLASSES.items():
            old_group, new_group = _group_name(old), _group_name(new)
            if old_group in layers:
                layers.move(old_group, new_group)
    return file.getvalue()


def _group_name(class_name: str) -> str:
    """`SharedNetwork` -> `shared_network`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower()
