"""Grow the tables of a trained model to extended vocabularies (warm start)."""

import numpy as np

from tfmtl.data import PreparedData
from tfmtl.layers.embedding.embedding_plan import EmbeddingPlan
from tfmtl.models.multi_task_model import MultiTaskModel
from tfmtl.schema.checks import error_text
from tfmtl.schema.reserved import OUT_OF_VOCABULARY


def grow_tables(model: MultiTaskModel, data: PreparedData) -> MultiTaskModel:
    """A model of the same composition and weights, with tables as large as the data's vocabularies.

    A new value starts with the final out-of-vocabulary vector, which represented it until now. So the grown model first
    answers every raw request as the old model did. The old model is not changed.

    The new model is not compiled. Its optimizer starts without moments: those of the old one were of other data, and
    would have to be found for every row.

    Args:
        model: `MultiTaskModel`.
        data: `PreparedData`, preprocessed with the model's transformation, as it is or extended.

    Raises:
        ValueError: an id of the model means something else in the data.
    """
    grown = MultiTaskModel.from_config({**model.get_config(), "inputs": data.inputs.to_dict()})
    if not grown.built:
        grown.build()
    take_weights("grow_tables", grown, model, data)
    return grown


def take_weights(owner: str, model: MultiTaskModel, source: MultiTaskModel, data: PreparedData) -> None:
    """Gives `model` the weights of `source`, whose tables may be smaller; new rows as `grow_tables` says.

    Args:
        owner: str. The caller's name, the first word of an error.
        model: built `MultiTaskModel` for the data.
        source: `MultiTaskModel` of the same composition.
        data: `PreparedData`.

    Raises:
        ValueError: an id of the source means something else in the data, or the composition is another.
    """
    data.check_extends(owner, source.inputs)
    before, after = source.embedding, model.embedding
    tables = {id(table) for embedding in (before, after) for table in embedding.tables.values()}
    theirs, mine = ([w for w in one.weights if id(w) not in tables] for one in (source, model))
    shapes = [[tuple(weight.shape) for weight in weights] for weights in (theirs, mine)]
    if shapes[0] != shapes[1] or list(before.tables) != list(after.tables):
        rule = "be of the same composition and sizes as the model that it starts from"
        advice = f"Give the preset and the options of that one, '{source.name}'."
        raise ValueError(error_text(owner, "model", rule, model.name, advice))
    for old, new in zip(theirs, mine, strict=True):
        new.assign(old)
    for width, table in before.tables.items():
        after.tables[width].assign(_grown(np.asarray(table), before.plan, after.plan, int(width)))


def _grown(table: np.ndarray, before: EmbeddingPlan, after: EmbeddingPlan, width: int) -> np.ndarray:
    """A width's fused table, every feature's rows moved to their new place and filled up, `(rows, width)`."""
    grown = np.empty((after.table_rows[width], width), table.dtype)
    for name, place in after.tables.items():
        if place.width == width:
            old = before.tables[name]
            end = place.start + old.count
            grown[place.start : end] = table[old.start : old.start + old.count]
            grown[end : place.start + place.count] = table[old.start + OUT_OF_VOCABULARY]
    return grown
