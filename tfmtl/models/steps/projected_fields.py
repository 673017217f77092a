"""Projected fields: small tables are multiplied by the first layers' kernels before the lookup, not after it."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.layers.dense.given_products import GivenProduct, uncovered
from tfmtl.layers.dense.stacked_dense import StackedDense
from tfmtl.models.trainable_network import TrainableNetwork
from tfmtl.schema.reserved import MISSING_ID


@dataclass(frozen=True)
class _Field:
    position: int  # among the fields
    column: int  # among the ids of its width
    start: int  # of its table's rows in the fused one
    count: int


class ProjectedFields:
    """The fields of a batch that are cheaper to project first.

    The first layers above a plain concatenation of fields are linear in each: `x W = sum_f E_f[id_f] W_f`. Where the
    tables have fewer rows than the batch has examples, `P_f = E_f W_f` has fewer products than `x W`, and the sum of
    rows of P is a product with the sparse matrix that says which rows an example reads. Forward and backward pass are
    then `P = project(tables, kernels)`, `A P`, and `A^T dproduct` sent back through `project`: the same function and
    the same gradients, in another order of summation. TensorFlow's products of sparse matrices are no part of XLA,
    so they lie between what XLA compiles.

    Shapes: R rows of the fields' tables together, D embedding width, N columns of the kernels together.

    Args:
        model: `MultiTaskModel`.
        max_rows: int. Largest table that is projected.
    """

    def __init__(self, model: TrainableNetwork, max_rows: int) -> None:
        plan = model.embedding.plan
        self._dim = plan.dim
        self.width = str(plan.dim)
        self.layers: list[StackedDense] = list(model.sharing.input_layers or ())
        self.fields = _small_fields(model, max_rows)
        self._shape = (plan.table_rows.get(plan.dim, 0), plan.dim)
        self._counts = [field.count for field in self.fields]
        starts = np.cumsum([0, *self._counts])
        self.num_rows = int(starts[-1])
        self._block_starts = starts[:-1]
        own = [(f.position * self._dim, (f.position + 1) * self._dim) for f in self.fields]
        self._rest = uncovered(own, self._input_width(model))
        self._ranges = sorted([*own, *self._rest])
        self._lengths = [stop - start for start, stop in self._ranges]
        taken = {field.column for field in self.fields}
        num_columns = sum(column.length for column in plan.columns.get(plan.dim, ()))
        self._taken = np.array([column in taken for column in range(num_columns)])

    @staticmethod
    def _input_width(model: TrainableNetwork) -> int:
        return int(model.bottom.compute_output_shape(model.embedding.compute_output_shape())[-1])

    def table_rows(self) -> Tensor:
        """The rows of the fused table that are projected, int `(R,)`."""
        return tf.constant(np.concatenate([np.arange(f.start, f.start + f.count) for f in self.fields]), tf.int64)

    def read_rows(self, row_ids: Tensor) -> tuple[Tensor, Tensor]:
        """What an example reads of the projected rows, int64 `(B, K)` from 0 to R, and what it does not count, 0 or 1.

        Args:
            row_ids: `(B, n)`, the fused rows of all ids of the width.
        """
        starts = np.array([field.start for field in self.fields])
        ids = tf.cast(tf.gather(row_ids, [field.column for field in self.fields], axis=1), tf.int64) - starts
        return ids + self._block_starts, tf.cast(ids != MISSING_ID, tf.float32)

    def matrix(self, rows: Tensor, counts: Tensor) -> Tensor:
        """The sparse `(B, R)` matrix of what the examples read."""
        batch, fields = tf.shape(rows, tf.int64)[0], len(self.fields)
        examples = tf.repeat(tf.range(batch), fields)
        return tf.raw_ops.SparseTensorToCSRSparseMatrix(
            indices=tf.stack([examples, tf.reshape(rows, (-1,))], axis=1),
            values=tf.reshape(counts, (-1,)),
            dense_shape=tf.stack([batch, self.num_rows]),
        )

    def project(self, tables: Tensor, kernels: list[Tensor]) -> Tensor:
        """Every row times its field's part of every kernel, `(R, N)`.

        Args:
            tables: `(R, D)`.
            kernels: of `layers`, each `(stacks, H, units)`.
        """
        joined = tf.concat([tf.reshape(tf.transpose(k, (1, 0, 2)), (k.shape[1], -1)) for k in kernels], axis=1)
        # Split, not sliced: the gradient of a slice is as large as what it was cut from.
        parts = dict(zip([start for start, _ in self._ranges], tf.split(joined, self._lengths), strict=True))
        blocks = zip(tf.split(tables, self._counts), self.fields, strict=True)
        return tf.concat([tf.matmul(rows, parts[field.position * self._dim]) for rows, field in blocks], axis=0)

    def project_back(self, tables: Tensor, kernels: list[Tensor], gradient: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The gradients with respect to `tables` and `kernels` for that of `project`'s result."""
        with tf.GradientTape() as tape:
            tape.watch((tables, kernels))
            projected = self.project(tables, kernels)
        found: tuple[Tensor, list[Tensor]] = tape.gradient(projected, (tables, kernels), gradient)
        return found

    def given(self, product: Tensor) -> Mapping[StackedDense, GivenProduct]:
        """Each layer's columns of the product `(B, N)`."""
        widths = [layer.num_stacks * layer.units for layer in self.layers]
        parts = tf.split(product, widths, axis=1)
        return {layer: GivenProduct(part, self._rest) for layer, part in zip(self.layers, parts, strict=True)}

    def other_ids(self, ids: Tensor) -> Tensor:
        """`(B, n, ...)` of all ids of the width to `(B, n', ...)` of those that are not projected."""
        return tf.gather(ids, np.flatnonzero(~self._taken), axis=1)

    def with_zeros(self, vectors: Tensor) -> Tensor:
        """`(B, n', D)` of the ids that are not projected to `(B, n, D)`, zero for the others, which are not read."""
        batch = tf.shape(vectors)[0]
        runs = _runs(self._taken)
        # Split, not sliced: on a CPU the gradient of a slice along this axis takes 30 times as long.
        lengths = [columns for is_taken, columns in runs if not is_taken]
        read = iter(tf.split(vectors, lengths, axis=1) if lengths else [])
        parts = [
            tf.zeros((batch, columns, self._dim), vectors.dtype) if is_taken else next(read)
            for is_taken, columns in runs
        ]
        return tf.concat(parts, axis=1)

    def slices(self, row_ids: Tensor, gradient: Tensor | None, rows: Tensor, projected: Tensor) -> tf.IndexedSlices:
        """The gradient of the fused table, of the rows that the batch reads.

        Args:
            row_ids: `(B, n)`, as in `read_rows`.
            gradient: of what was looked up, `(B, n', D)`, or `None`.
            rows: `(B, K)`, as `read_rows` returned them.
            projected: `(R, D)`, of the projected rows.
        """
        ids, _ = tf.unique(tf.reshape(rows, (-1,)))
        indices, values = [tf.gather(self.table_rows(), ids)], [tf.gather(projected, ids)]
        if gradient is not None:
            indices.append(tf.cast(tf.reshape(self.other_ids(row_ids), (-1,)), tf.int64))
            values.append(tf.reshape(gradient, (-1, self._dim)))
        shape = tf.constant(self._shape, tf.int64)
        return tf.IndexedSlices(tf.concat(values, axis=0), tf.concat(indices, axis=0), shape)


def projected_fields(model: TrainableNetwork, batch_size: int | None) -> ProjectedFields | None:
    """The fields that are faster to project first, or `None`.

    They need a bottom that starts with the fields as they are, a sharing layer that says who reads it, and float32 on
    a CPU: tiles of bfloat16 (AMX) and GPUs multiply faster than they look up.

    Args:
        model: a built and compiled `MultiTaskModel`.
        batch_size: int or None, if it is not known while the step is traced.
    """
    max_rows = model.max_projected_rows
    if max_rows is None:
        max_rows = 0 if batch_size is None else rows_worth_projecting(batch_size)
    possible = (
        max_rows > 0
        and model.bottom.starts_with_fields
        and model.sharing.input_layers is not None
        and model.compute_dtype == "float32"
        and not tf.config.list_physical_devices("GPU")
        and not isinstance(model.distribute_strategy, tf.distribute.ParameterServerStrategy)
    )
    if not possible:
        return None
    found = ProjectedFields(model, max_rows)
    return found if found.fields else None


def rows_worth_projecting(batch_size: int) -> int:
    """The largest table that is surely cheaper to project than the rows looked up: well below where both cost alike."""
    return batch_size // 4


def product(matrix: Tensor, dense: Tensor) -> Tensor:
    """`A dense` for a sparse A, in float32."""
    return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=dense)


def transposed(matrix: Tensor) -> Tensor:
    """`A^T` for a sparse A: its product sums in a fixed order, that of `transpose_a` in the order of the threads."""
    return tf.raw_ops.SparseMatrixTranspose(input=matrix, type=tf.float32)


def _small_fields(model: TrainableNetwork, max_rows: int) -> list[_Field]:
    """Fields that are one id and no more, in a small table of the common width, read by the concatenation alone."""
    plan = model.embedding.plan
    candidates = {column for sequence in plan.sequences for column in sequence.columns}  # queries read them too
    lone = plan.lone_ids
    found, column = [], 0
    for ids in plan.columns.get(plan.dim, ()):
        table, place = plan.tables[ids.table], lone.get(ids.key)
        if place is not None and ids.key not in candidates and table.count <= max_rows:
            found.append(_Field(place, column, table.start, table.count))
        column += ids.length
    return found


def _runs(flags: np.ndarray) -> list[tuple[bool, int]]:
    """Runs of equal flags and their lengths."""
    edges = [0, *(np.flatnonzero(flags[1:] != flags[:-1]) + 1).tolist(), len(flags)]
    return [(bool(flags[start]), stop - start) for start, stop in pairwise(edges)]
