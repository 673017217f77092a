"""Thin matrices of every (task, behavior) pair, generated from the pair's embedding."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfmtl.core.types import Shape, Tensor
from tfmtl.schema.checks import check_bool, check_positive_int, check_positive_ints, check_shape


@keras.saving.register_keras_serializable(package="tfmtl")
class GeneratedFactors(keras.layers.Layer):
    """Generates two thin matrices for every place (site) of a network and every (task, behavior) pair.

    With e the pair's embedding, `down = reshape(G_down e)` and `up = reshape(G_up e)`: what a site adds to a shared
    layer is made of `x down up`. `G_up` starts at zero, so that every pair starts as the shared layer, and `G_down`
    such that the entries of `down` have variance 1 / in for an embedding of independent unit normals, and differ from
    pair to pair. A further task costs its embedding alone. Nothing depends on an example.

    Shapes: T tasks, J behaviors, P width of a pair's embedding, S sites, R `rank`.

    Args:
        rank: int. Width R between the two matrices.
        sites: Sequence of pairs of ints. Widths (in, out) of every site.
        use_bias: bool. Whether every site has a generated bias of width R between the two, which starts at zero.
            Defaults to `False`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: float `(T, J, P)`, the pairs' embeddings.

    Returns:
        List of `2 S` tensors, or `3 S` with biases. For every site `(T, J, in, R)`, `(T, J, R, out)` and, with
        biases, `(T, J, R)`.

    Raises:
        ValueError: If a size is not positive, or at build if the inputs have another shape.
        TypeError: If a size is not an int or `use_bias` not a bool.

    Example:

    >>> import keras, tfmtl
    >>> down, up = tfmtl.layers.GeneratedFactors(rank=4, sites=[(16, 8)])(keras.ops.ones((3, 2, 5)))
    >>> down.shape, up.shape
    (TensorShape([3, 2, 16, 4]), TensorShape([3, 2, 4, 8]))

    Reference:
        Mahabadi et al. 2021 (HyperFormer), https://arxiv.org/abs/2106.04489, section 2: weights that one linear map
        makes of an embedding. The zero start of one of the two is that of Hu et al. 2021 (LoRA),
        https://arxiv.org/abs/2106.09685, section 4.1. That a pair is a task and a behavior is ours.
    """

    def __init__(self, rank: int, sites: Sequence[Sequence[int]], use_bias: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        check_positive_int(owner, "rank", rank)
        for site in sites:
            check_positive_ints(owner, "sites", site)
        check_bool(owner, "use_bias", use_bias)
        self.rank = rank
        self.sites = [list(site) for site in sites]
        self.use_bias = use_bias

    def build(self, input_shape: Shape) -> None:
        check_shape(type(self).__name__, "inputs", input_shape, "T, J, P")
        known = input_shape[-1]
        self.generators = []
        for width, out in self.sites:
            start = keras.initializers.RandomNormal(stddev=(known * width) ** -0.5)
            self.generators.append(self._generator(input_shape, width * self.rank, start))
            self.generators.append(self._generator(input_shape, self.rank * out, "zeros"))
            if self.use_bias:
                self.generators.append(self._generator(input_shape, self.rank, "zeros"))

    def _generator(self, shape: Shape, units: int, start: Any) -> keras.layers.Dense:
        generator = keras.layers.Dense(units, use_bias=False, kernel_initializer=start, dtype=self.dtype_policy)
        generator.build(shape)
        return generator

    def call(self, inputs: Tensor) -> list[Tensor]:
        pairs = (-1, inputs.shape[1])
        made = zip(self.generators, self._inner_shapes(), strict=True)
        return [ops.reshape(generator(inputs), (*pairs, *inner)) for generator, inner in made]

    def _inner_shapes(self) -> list[Shape]:
        bias = [(self.rank,)] if self.use_bias else []
        return [inner for width, out in self.sites for inner in ((width, self.rank), (self.rank, out), *bias)]

    def compute_output_shape(self, input_shape: Shape) -> list[Shape]:
        return [(*tuple(input_shape)[:2], *inner) for inner in self._inner_shapes()]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rank": self.rank, "sites": self.sites, "use_bias": self.use_bias}
