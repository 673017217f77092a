"""Return free memory of the allocator to the system."""

import ctypes
import sys


def give_memory_back() -> None:
    """Has the allocator return to the system what it keeps free, where it is glibc's; elsewhere does nothing.

    glibc keeps the blocks that a thread has freed for that thread. Of messages that are refused half unpacked it would
    keep 128 MB in each of several threads.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:  # not every Linux has glibc
            trim(0)
