"""Set Transformer's attention of one set to another."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfmtl.core.masking import masked_softmax
from tfmtl.core.types import Shape, Shapes, Tensor, Tensors
from tfmtl.layers.fields._padded_sets import check_set, hide_padding
from tfmtl.schema.checks import check_bool, check_heads, check_keys, check_positive_int, check_shape, error_text


@keras.saving.register_keras_serializable(package="tfmtl")
class SetAttentionBlock(keras.layers.Layer):
    """Lets every query gather what it needs of a set of keys, whatever their order: Set Transformer's MAB.

    With `q = Q W_q`, `k = K W_k`, `v = K W_v` split into heads h, `O = [q_h + softmax(q_h k_h^T / sqrt(D)) v_h]_h` and
    the result is `O + relu(O W_o)`. Two things are unlike the attention of Transformers: the scores are divided by
    the root of the full width D, not of one head's, and what is added to the attention is the projected query. The
    keys have no bias, because a softmax over keys does not see it. A query all of whose keys are padding keeps
    `O = q`.

    The same set twice is a self-attention block (SAB); learned queries make a pooling (PMA); queries to inducing
    points and back, see `GroupTransformer`, an ISAB.

    Shapes: B batch, N queries, M keys, D width.

    Args:
        num_heads: int. Number of heads; it must divide D. Defaults to `2`.
        use_layer_norm: bool. Whether `O` and the result are each followed by a layer norm. Defaults to `False`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: dict of `"queries"`, float `(B, N, D)`, or `(1, N, D)` if they are the same for all examples,
            `"keys"`, float `(B, M, D)`, and optionally `"key_mask"`, bool `(B, M)`, true at real keys.

    Returns:
        float `(B, N, D)`.

    Raises:
        ValueError: If `num_heads` is not positive, or at build if it does not divide D or a shape does not fit.
        TypeError: If `num_heads` is not an int or `use_layer_norm` not a bool.

    Example:

    >>> import keras, tfmtl
    >>> inputs = {"queries": keras.ops.ones((1, 3, 4)), "keys": keras.ops.ones((8, 6, 4))}
    >>> tfmtl.layers.SetAttentionBlock(num_heads=2)(inputs).shape
    TensorShape([8, 3, 4])

    Reference:
        Lee et al. 2019, Set Transformer, https://arxiv.org/abs/1810.00825, eq. 6-7, with the residual and the scaling
        of the authors' code.
    """

    def __init__(self, num_heads: int = 2, use_layer_norm: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "num_heads", num_heads)
        check_bool(owner, "use_layer_norm", use_layer_norm)
        self.num_heads = num_heads
        self.use_layer_norm = use_layer_norm

    def build(self, input_shape: Shapes) -> None:
        owner = type(self).__name__
        check_set(owner, input_shape, "keys", "key_mask", "B, M, D")
        check_keys(owner, "inputs", input_shape, ("queries",))
        check_shape(owner, "queries", input_shape["queries"], "B, N, D")
        queries, keys = tuple(input_shape["queries"]), tuple(input_shape["keys"])
        width = keys[-1]
        if queries[-1] != width:
            advice = "Project queries and keys to one width."
            raise ValueError(error_text(owner, "queries.shape", f"have the keys' width {width}", queries, advice))
        check_heads(owner, self.num_heads, width)
        self.query = self._dense(queries)
        self.key = self._dense(keys, use_bias=False)
        self.value = self._dense(keys)
        self.output_projection = self._dense(queries, activation="relu")
        if self.use_layer_norm:
            self.attention_norm = self._norm(queries)
            self.output_norm = self._norm(queries)

    def call(self, inputs: Tensors) -> Tensor:
        queries, values, weights = self._attend(inputs)
        attended = self._join(queries + ops.matmul(weights, values))  # (B, N, D)
        if self.use_layer_norm:
            attended = self.attention_norm(attended)
        outputs = attended + self.output_projection(attended)
        return self.output_norm(outputs) if self.use_layer_norm else outputs

    def attention_weights(self, inputs: Tensors) -> Tensor:
        """Returns how much every query takes of every key, float `(B, num_heads, N, M)`; it sums to 1 over M."""
        return self._attend(inputs)[-1]

    def _attend(self, inputs: Tensors) -> tuple[Tensor, Tensor, Tensor]:
        """Returns queries and values by head, `(B, heads, N or M, D / heads)`, and the attention's weights."""
        mask = inputs.get("key_mask")
        width = inputs["keys"].shape[-1]
        members = hide_padding(inputs["keys"], mask)
        queries = self._split(self.query(inputs["queries"]))
        keys, values = self._split(self.key(members)), self._split(self.value(members))
        scores = ops.cast(ops.matmul(queries, ops.swapaxes(keys, -1, -2)), "float32") / width**0.5
        # Not `ops.softmax`: it warns about a single key.
        weights = tf.nn.softmax(scores, axis=-1) if mask is None else masked_softmax(scores, mask[:, None, None])
        return queries, values, ops.cast(weights, values.dtype)

    def _split(self, vectors: Tensor) -> Tensor:
        _, size, width = vectors.shape
        heads = ops.reshape(vectors, (-1, size, self.num_heads, width // self.num_heads))
        return ops.transpose(heads, (0, 2, 1, 3))  # (B, heads, size, D / heads)

    def _join(self, heads: Tensor) -> Tensor:
        _, count, size, head_width = heads.shape
        return ops.reshape(ops.transpose(heads, (0, 2, 1, 3)), (-1, size, count * head_width))

    def _dense(self, shape: Shape, **arguments: Any) -> keras.layers.Dense:
        dense = keras.layers.Dense(shape[-1], dtype=self.dtype_policy, **arguments)
        dense.build(shape)
        return dense

    def _norm(self, shape: Shape) -> keras.layers.LayerNormalization:
        norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=self.dtype_policy)
        norm.build(shape)
        return norm

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        _, size, width = input_shape["queries"]
        return (input_shape["keys"][0], size, width)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_heads": self.num_heads, "use_layer_norm": self.use_layer_norm}
