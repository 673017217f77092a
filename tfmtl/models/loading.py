"""Reading a saved model."""

from pathlib import Path

import keras

from tfmtl import layers  # noqa: F401  (registers every class a saved model may hold)
from tfmtl.models.multi_task_model import MultiTaskModel
from tfmtl.models.old_names import renamed


def load(path: str | Path, compiled: bool = True) -> MultiTaskModel:
    """The model that `model.save(path)` wrote, also in an earlier version of the package.

    Args:
        path: a `.keras` file.
        compiled: bool. Whether the model comes with its optimizer and the optimizer's state, if it was saved with
            them. Defaults to `True`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds something else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"load: no model file at '{path}'. Give a .keras file that model.save() wrote.")
    with renamed(Path(path)) as readable:
        model = keras.saving.load_model(readable, compile=compiled)
    if not isinstance(model, MultiTaskModel):
        raise ValueError(f"load: '{path}' must hold a MultiTaskModel. Received: {type(model).__name__}.")
    return model
