"""What a kind of feature has inside the model, where ids and scaled numbers do not do."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfmtl.core.initializers import small_uniform
from tfmtl.core.types import Tensor


class FieldLayer(keras.layers.Layer):
    """The encoders of all features of one kind, between the tables and the bottom; one object a model.

    It reads the tensors of the roles `own` (arrays) and `lookup` (rows of tables) and gives one vector a field. Its
    weights are ordinary dense ones below the sharing layer, so that every balancer, sharpness and optimizer treats them
    as it does those of the bottom. `FeatureEmbedding` makes it from the records of the problem, behind its own weights.

    A subclass creates and builds all of its weights in `build`, and works row by row: no statistics over the batch,
    which would run twice under SAM and differ by replica. Features of the user may have one row where those of a
    candidate have many: encoders run on the rows that are there, and nothing is joined between features. Where features
    are columns of a sequence it is called once more, with these alone: an event is a row then.

    Args:
        records: the features of the kind, in the order of the problem.
        dim: int. D, the common width of fields.
        **kwargs: passed to `keras.layers.Layer`.

    Attributes:
        copies: int. How many embeddings of every value lie side by side in D, such as one for each task; no part of a
            field may depend on another copy. Set before `build`.
        missing: feature -> the learned vector `(D,)` of what has no value, as far as `add_missing` made one.

    Shapes: b rows, n ids of a tensor, D the common width of fields.

    Call arguments:
        rows: encoded key of role `lookup` -> `(b, n, D)`, looked up, projected and zero where the id is 0; of all
            features or, for events, of some.
        masks: likewise -> `(b, n, 1)`, 1 where there is an id.
        arrays: encoded key of role `own` -> the tensor as it is encoded, `(b, ...)`.
        training: bool. Whether dropout is on.

    Returns:
        dict: field -> `(b, D)` in the compute dtype; the fields that the given tensors name.
    """

    copies = 1

    def __init__(self, records: Sequence[Any], dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.records = tuple(records)
        self.dim = dim
        self.missing: dict[str, keras.Variable] = {}

    def add_missing(self, name: str) -> None:
        """Adds the learned vector that takes the place of a feature's field where it has no value; for `build`.

        Args:
            name: the feature's.
        """
        self.missing[name] = self.add_weight(name=f"{name}_missing", shape=(self.dim,), initializer=small_uniform())

    def with_missing(self, name: str, field: Tensor, is_missing: Tensor) -> Tensor:
        """`field` where there is a value, and the vector of `add_missing` where there is none.

        Args:
            name: the feature's.
            field: `(b, D)`, finite.
            is_missing: `(b,)`, above 0 where there is no value.
        """
        return tf.where(is_missing[:, tf.newaxis] > 0, tf.cast(self.missing[name], field.dtype), field)

    def augment(self, features: Mapping[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        """The encoded tensors of its features that are changed at random in training, such as ids left out.

        Called once a step, before rows are looked up: a second pass at moved weights reads the same ids. Defaults to
        none.

        Args:
            features: encoded key -> tensor.
            training: bool. Whether the step trains. Defaults to `False`.
        """
        return {}

    def load_given_weights(self) -> None:
        """Loads weights from the files that the problem names, such as those of a network trained on other pictures.

        Called by `fit` when a training begins, and never when a model is loaded, which has them. Defaults to none.

        Raises:
            ValueError: a file cannot be read, or is of another network.
        """
        return

    def call(
        self,
        rows: Mapping[str, Tensor],
        masks: Mapping[str, Tensor],
        arrays: Mapping[str, Tensor],
        training: bool = False,
    ) -> dict[str, Tensor]:
        raise NotImplementedError(f"{type(self).__name__}: `call` must be overridden.")
