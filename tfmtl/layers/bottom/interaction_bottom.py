"""A shared bottom whose fields meet in a classical interaction of click models."""

from typing import Any

import keras
from keras import ops

from tfmtl.core.rows import with_equal_rows
from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.bottom._bottom_shapes import check_bottom_shapes, num_vectors
from tfmtl.layers.bottom.bottom_layer import BottomLayer
from tfmtl.layers.fields.bilinear_interaction import BilinearInteraction
from tfmtl.layers.fields.compressed_interaction import CompressedInteraction
from tfmtl.layers.fields.cross_network import CrossNetwork
from tfmtl.layers.fields.factorization_machine import FactorizationMachine
from tfmtl.layers.fields.interacting_attention import InteractingAttention
from tfmtl.layers.fields.squeeze_excitation import SqueezeExcitation
from tfmtl.layers.sequence.pooling import check_pooling, pooling_layer
from tfmtl.schema.checks import check_one_of, check_positive_int

INTERACTIONS = ("dcn_v2", "fm", "cin", "autoint", "senet", "fibinet")

_CIN_UNITS = 128
_HEAD_DIM, _NUM_HEADS = 8, 2


@keras.saving.register_keras_serializable(package="tfmtl")
class InteractionBottom(BottomLayer):
    """Lets the fields and the pooled behavior sequences interact, once for all tasks.

    With V the F + J vectors, the representation is, by `interaction`:

    - `"dcn_v2"`: V flattened, through a `CrossNetwork`.
    - `"fm"`: V flattened, and its `FactorizationMachine`.
    - `"cin"`: V flattened, and its `CompressedInteraction` of 128 vectors per layer.
    - `"autoint"`: V through layers of `InteractingAttention`, flattened.
    - `"senet"`: V reweighted by a `SqueezeExcitation` with ReLU gates, flattened. A gate may remove a vector, also
      all of them.
    - `"fibinet"`: the `BilinearInteraction` of V, and another one of V reweighted as in `"senet"`, flattened.

    Shapes: B batch, F fields, J behaviors, L sequence length, D embedding width, H width.

    Args:
        interaction: str. One of the names above. Defaults to `"dcn_v2"`.
        pooling: str. How a sequence becomes one vector: `"mean"` of its events, `"target"`, their `TargetAttention` by
            the queries, or `"sdim"`, their `HashedAttention`, for histories of thousands. With `"mean_count"`,
            `"target_count"` and `"sdim_count"` the vector also says how many events there are (`CountedPooling`).
            Defaults to `"mean"`.
        num_layers: int. Number of layers of `"dcn_v2"`, `"cin"` and `"autoint"`; the others have one. Defaults to
            `2`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"fields"`, float `(B, F, D)`, and where there are behaviors `"events"`, float `(B, J, L, D)`,
            `"event_mask"`, bool `(B, J, L)`, and, unless the pooling is a mean, `"queries"`, float `(B, J, D)`.

    Returns:
        float `(B, 1, H)`. With n = F + J, J 0 without behaviors, H is n D for `"dcn_v2"` and `"senet"`, n D + 1 for
        `"fm"`, n D + 64 (num_layers + 1) for `"cin"`, 16 n for `"autoint"`, and n (n - 1) D for `"fibinet"`.

    Raises:
        ValueError: If a choice is unknown, `num_layers` not positive, or at build if a shape does not fit;
            `"fibinet"` needs two vectors.
        TypeError: If `num_layers` is not an int.

    Example:

    >>> import keras, tfmtl
    >>> tfmtl.layers.InteractionBottom("fm")({"fields": keras.ops.ones((8, 6, 4))}).shape
    TensorShape([8, 1, 25])

    Reference:
        Those of the layers named. Concatenation with V is that of DeepFM and xDeepFM, whose deep part reads V.
    """

    def __init__(self, interaction: str = "dcn_v2", pooling: str = "mean", num_layers: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_one_of(owner, "interaction", interaction, INTERACTIONS)
        check_pooling(owner, pooling)
        check_positive_int(owner, "num_layers", num_layers)
        self.interaction = interaction
        self.pooling = pooling
        self.num_layers = num_layers

    def build(self, input_shape: Shapes) -> None:
        check_bottom_shapes(type(self).__name__, input_shape)
        batch, _, width = input_shape["fields"]
        if "events" in input_shape:
            self.pool = pooling_layer(self.pooling, self.dtype_policy)
            self.pool.build(input_shape)
        vectors = (batch, num_vectors(input_shape), width)
        match self.interaction:
            case "dcn_v2":
                self.cross = CrossNetwork(self.num_layers, dtype=self.dtype_policy)
                self.cross.build((batch, vectors[1] * width))
            case "fm":
                self.products = FactorizationMachine(dtype=self.dtype_policy)
                self.products.build(vectors)
            case "cin":
                self.products = CompressedInteraction((_CIN_UNITS,) * self.num_layers, dtype=self.dtype_policy)
                self.products.build(vectors)
            case "autoint":
                self._build_attention(vectors)
            case "senet":
                self._build_gate(vectors)
            case "fibinet":
                self._build_gate(vectors)
                self.bilinear = BilinearInteraction(dtype=self.dtype_policy)
                self.bilinear.build(vectors)
                self.gated_bilinear = BilinearInteraction(dtype=self.dtype_policy)
                self.gated_bilinear.build(vectors)

    def _build_attention(self, vectors: Shape) -> None:
        self.attention_layers = []
        for _ in range(self.num_layers):
            attention = InteractingAttention(_HEAD_DIM, _NUM_HEADS, dtype=self.dtype_policy)
            attention.build(vectors)
            vectors = attention.compute_output_shape(vectors)
            self.attention_layers.append(attention)

    def _build_gate(self, vectors: Shape) -> None:
        self.gate = SqueezeExcitation(reduction=3, gate="relu", use_bias=False, dtype=self.dtype_policy)
        self.gate.build(vectors)

    def call(self, inputs: Tensors) -> Tensor:
        vectors = inputs["fields"]
        if "events" in inputs:
            vectors = ops.concatenate(with_equal_rows([vectors, self.pool(inputs)]), axis=1)  # (B, F + J, D)
        return self._interact(vectors)[:, None]  # (B, 1, H)

    def _interact(self, vectors: Tensor) -> Tensor:
        """Returns the representation of `(B, F + J, D)`, float `(B, H)`."""
        match self.interaction:
            case "dcn_v2":
                return self.cross(_flat(vectors))
            case "autoint":
                for attention in self.attention_layers:
                    vectors = attention(vectors)
                return _flat(vectors)
            case "senet":
                return _flat(self.gate(vectors))
            case "fibinet":
                pairs = [self.bilinear(vectors), self.gated_bilinear(self.gate(vectors))]
                return _flat(ops.concatenate(pairs, axis=1))
            case _:
                return ops.concatenate([_flat(vectors), self.products(vectors)], axis=-1)

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        batch, _, width = input_shape["fields"]
        count = num_vectors(input_shape)
        sizes = {
            "dcn_v2": count * width,
            "fm": count * width + 1,
            "cin": count * width + _CIN_UNITS // 2 * (self.num_layers + 1),
            "autoint": count * _NUM_HEADS * _HEAD_DIM,
            "senet": count * width,
            "fibinet": count * (count - 1) * width,
        }
        return (batch, 1, sizes[self.interaction])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "interaction": self.interaction,
            "pooling": self.pooling,
            "num_layers": self.num_layers,
        }


def _flat(vectors: Tensor) -> Tensor:
    return ops.reshape(vectors, (-1, vectors.shape[1] * vectors.shape[2]))
