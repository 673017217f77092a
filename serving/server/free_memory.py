"""Memory that is free but still this process's."""

import ctypes
import gc
import sys

from tensorflow.python.eager import context


def give_memory_back() -> None:
    """Has the allocator return to the system what it keeps free, where it is glibc's; elsewhere does nothing.

    glibc keeps the blocks that a thread has freed for that thread. Of messages that are refused half unpacked it would
    keep 128 MB in each of several threads.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:  # not every Linux has glibc
            trim(0)


def free_dropped_models() -> None:
    """Frees SavedModels that nobody holds any more; all threads wait for it for some tenths of a second.

    A SavedModel is full of reference cycles, and Python looks for those that rarely that a server would keep several
    models. TensorFlow keeps the optimized graph of every function that was ever called; it makes those of the models
    that stay anew, with their next request.
    """
    gc.collect()
    context.context().clear_kernel_cache()
    give_memory_back()
