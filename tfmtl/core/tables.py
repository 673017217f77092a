"""Mark the weights that are embedding tables, of which a step reads and writes only some rows."""

from typing import Any


def mark_table(variable: Any) -> None:
    """Marks a weight as an embedding table; a layer calls it in `build`."""
    variable.is_embedding_table = True


def is_table(variable: Any) -> bool:
    """Whether a weight was marked, or is the one of `keras.layers.Embedding`, known by its name `embeddings`."""
    return getattr(variable, "is_embedding_table", False) or variable_path(variable).split("/")[-1] == "embeddings"


def variable_path(variable: Any) -> str:
    """Where a weight lies in its model, such as `model/embedding/embeddings`; of a `tf.Variable`, its name."""
    path = getattr(variable, "path", None)
    return str(variable.name).split(":")[0] if path is None else str(path)
