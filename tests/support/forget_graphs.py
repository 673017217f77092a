"""Graphs that TensorFlow would keep for good, for the sake of a gradient that has a name."""

import sys

_NAMES = "CustomGradient-"  # of `tf.custom_gradient`, in which Keras's optimizers exchange gradients


def forget_graphs() -> None:
    """Forgets the gradients by which the graphs of models that are gone are still held: gigabytes in a whole run.

    A graph that is still used cannot be differentiated anew afterwards, which would be an error: call it between files.
    """
    ops = sys.modules.get("tensorflow.python.framework.ops")
    if ops is None:
        return
    known = ops.gradient_registry._registry
    for name in [name for name in known if name.startswith(_NAMES)]:
        del known[name]
