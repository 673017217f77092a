"""Sets of vectors, such as an example's fields, of which a mask may call some padding."""

from keras import ops

from tfmtl.core.masking import masked_mean
from tfmtl.core.types import Shapes, Tensor
from tfmtl.schema.checks import check_keys, check_shape, error_text


def check_set(owner: str, shapes: Shapes, name: str, mask_name: str, letters: str) -> None:
    """Raises unless `shapes` names a set with the axes `letters`, and any mask in it has the set's first two."""
    check_keys(owner, "inputs", shapes, (name,))
    check_shape(owner, name, shapes[name], letters)
    size = shapes[name][1]
    if mask_name in shapes and tuple(shapes[mask_name])[1:] != (size,):
        advice = f"It has to fit {name}.shape={tuple(shapes[name])}."
        rule = f"have shape (B, {size})"
        raise ValueError(error_text(owner, f"{mask_name}.shape", rule, tuple(shapes[mask_name]), advice))


def hide_padding(vectors: Tensor, mask: Tensor | None) -> Tensor:
    """Puts zeros in place of padding, even of NaN; without a mask nothing is padding."""
    return vectors if mask is None else ops.where(mask[..., None], vectors, 0.0)


def mean_vector(vectors: Tensor, mask: Tensor | None) -> Tensor:
    """Averages the real vectors of each set: `(B, M, D)` to `(B, D)`."""
    return ops.mean(vectors, axis=1) if mask is None else masked_mean(vectors, mask)
