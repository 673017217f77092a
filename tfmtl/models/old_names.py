"""Names in saved models that have since been given another; only `tfmtl.models.load` looks here."""

import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_CONFIG = "config.json"

CLASSES = {"BehaviourHypernetwork": "BehaviorHypernetwork"}
"""Class as it was called -> as it is called."""

ARGUMENTS = {
    "DTRNBottom": {"behaviour_dim": "behavior_dim"},
    "HyperSequenceEncoder": {"behaviour_dim": "behavior_dim"},
    "BehaviorHypernetwork": {"behaviour_dim": "behavior_dim", "num_behaviours": "num_behaviors"},
}
"""Class as it is called -> argument as it was called -> as it is called."""


def with_today_names(config: Any) -> Any:
    """The config of a saved model, or a part of it, with every class and argument as they are called today."""
    if isinstance(config, list):
        return [with_today_names(item) for item in config]
    if not isinstance(config, dict):
        return config
    found = {key: with_today_names(value) for key, value in config.items()}
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
    """A `.keras` file that says the same as `path` in today's names: `path` itself, or a copy that goes in the end."""
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
    """File name -> content, with today's names; `None` where no name is old, or Keras has to say what is wrong."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read(_CONFIG))
            today = with_today_names(config)
            if today == config:
                return None
            rest = {name: archive.read(name) for name in archive.namelist() if name != _CONFIG}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    return {_CONFIG: json.dumps(today).encode(), **rest}
