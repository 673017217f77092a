"""A ranking's first layers: what holds for all candidates is multiplied once."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.layers.bottom.bottom_layer import BottomLayer
from tfmtl.layers.dense.given_products import GivenProduct, uncovered
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.layers.embedding.embedding_plan import EmbeddingPlan
from tfmtl.layers.sharing.sharing_layer import SharingLayer


def products_of_shared_rows(
    plan: EmbeddingPlan, bottom: BottomLayer, sharing: SharingLayer, features: Mapping[str, Tensor], vectors: Tensor
) -> dict[StackedDense, GivenProduct]:
    """The first layers' products with the fields of one user, who has many candidates; nothing for other batches.

    The first layers above a plain concatenation are linear in each field, and a field whose tensors have one row, by
    their static shapes, is the same in all rows: its part of the product is computed for the first of them.

    Args:
        plan: `EmbeddingPlan`.
        bottom: the bottom.
        sharing: the sharing layer.
        features: as the embedding reads them.
        vectors: `(B, 1, H)`, what the bottom made of them.
    """
    if not bottom.starts_with_fields or not sharing.input_layers:
        return {}
    ranges = _shared_ranges(plan, features)
    if not ranges:
        return {}
    rest = uncovered(ranges, vectors.shape[-1])
    columns = tf.concat([vectors[:1, 0, start:stop] for start, stop in ranges], axis=1)
    found = {}
    for layer in sharing.input_layers:
        kernel = tf.cast(layer.joined_kernel(), vectors.dtype)
        rows = tf.concat([kernel[start:stop] for start, stop in ranges], axis=0)
        found[layer] = GivenProduct(tf.matmul(columns, rows), rest)
    return found


def _shared_ranges(plan: EmbeddingPlan, features: Mapping[str, Tensor]) -> list[tuple[int, int]]:
    """The columns of the fields that hold for all rows, where others do not."""
    others = [each for tensors in plan.others.values() for each in tensors]
    differs = {
        each.joins or each.field
        for each in (*plan.scalars, *plan.lists, *plan.numbers, *others)
        if features[each.key].shape[0] != 1
    }
    names = plan.field_names
    if not differs or differs.issuperset(names):
        return []
    shared = [place for place, name in enumerate(names) if name not in differs]
    return _joined([(place * plan.dim, (place + 1) * plan.dim) for place in shared])


def _joined(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Neighboring ranges as one."""
    found: list[tuple[int, int]] = []
    for start, stop in ranges:
        if found and found[-1][1] == start:
            found[-1] = found[-1][0], stop
        else:
            found.append((start, stop))
    return found
