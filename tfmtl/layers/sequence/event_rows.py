"""Events as rows, packed where shapes may depend on data."""

import tensorflow as tf
from tensorflow.python.ops import control_flow_util  # no public name says whether XLA will compile a graph

from tfmtl.core.types import Tensor
from tfmtl.layers.sequence.packed_rows import PackedRows
from tfmtl.layers.sequence.padded_rows import PaddedRows

EventRows = PackedRows | PaddedRows


def event_rows(event_mask: Tensor) -> EventRows:
    """The rows of a batch's events: only the real ones, or for XLA all places."""
    if control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        return PaddedRows(event_mask)
    return PackedRows(event_mask)
