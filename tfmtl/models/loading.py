"""Load a saved model."""

import importlib
import os
from pathlib import Path

import keras

from tfmtl import layers  # noqa: F401  (registers every class a saved model may hold)
from tfmtl.models.multi_task_model import MultiTaskModel
from tfmtl.models.old_names import renamed


def load(path: str | Path, compiled: bool = True) -> MultiTaskModel:
    """The model that `model.save(path)` wrote, also in an earlier version of the package.

    Modules listed in the environment variable `TFMTL_PLUGINS` (`my_layers,other.layers`) are imported first: classes of
    your own have to be known before a file can name them.

    Args:
        path: a `.keras` file.
        compiled: bool. Whether the model comes with its optimizer and the optimizer's state, if it was saved with
            them. Defaults to `True`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds something else, or a class that is not known.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"load: no model file at '{path}'. Give a .keras file that model.save() wrote.")
    for plugin in filter(None, os.environ.get("TFMTL_PLUGINS", "").split(",")):
        importlib.import_module(plugin.strip())
    try:
        with renamed(Path(path)) as readable:
            model = keras.saving.load_model(readable, compile=compiled)
    except TypeError as error:
        if "Could not locate class" not in str(error):
            raise
        advice = "Import the module that defines it first, or name that module in TFMTL_PLUGINS."
        raise ValueError(f"load: '{path}' holds a class that is not known. {advice} {str(error)[:200]}") from error
    if not isinstance(model, MultiTaskModel):
        raise ValueError(f"load: '{path}' must hold a MultiTaskModel. Received: {type(model).__name__}.")
    return model
