"""Free the memory of models that are no longer served."""

import gc

from tensorflow.python.eager import context

from tfmtl.serving.server.free_memory import give_memory_back


def free_dropped_models() -> None:
    """Frees unused SavedModels; all threads wait for it for some tenths of a second.

    A SavedModel is full of reference cycles, and Python looks for those that rarely that a server would keep several
    models. TensorFlow keeps the optimized graph of every function that was ever called; it makes those of the models
    that stay anew, with their next request.
    """
    gc.collect()
    context.context().clear_kernel_cache()
    give_memory_back()
