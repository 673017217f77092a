"""The operations that an exported graph consists of."""

from pathlib import Path

from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

# Registered by Python's TensorFlow for functions written in Python, or for compilers that a model server has not.
_NOT_SERVED = ("Py", "EagerPy", "Numpy", "Xla", "TPU", "Tensorrt", "TRT")


def operations(version: Path) -> set[str]:
    """The types of all nodes, those inside functions included."""
    model = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    [graph] = [meta.graph_def for meta in model.meta_graphs]
    functions = {function.signature.name for function in graph.library.function}
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return {node.op for node in nodes} - functions


def foreign_operations(version: Path) -> set[str]:
    """Those that a stock TF Serving does not have: it is built with TensorFlow's own operations and no others."""
    return {name for name in operations(version) if op_def_registry.get(name) is None or name.startswith(_NOT_SERVED)}
