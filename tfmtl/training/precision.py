"""The number format in which a run multiplies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras

PRECISIONS = ("off", "bfloat16", "auto")
"""Names that `mixed_precision` takes."""

_CPU_INFO = Path("/proc/cpuinfo")
_FASTER_WITH = "amx_bf16"  # avx512_bf16 alone made the step of MMoE 1.4 times as long as float32


def dtype_policy(mixed_precision: str, cpu_info: Path = _CPU_INFO) -> str:
    """The Keras dtype policy of a run's layers.

    `"auto"` is bfloat16 where the processor has tiles for it (AMX), as Linux lists its features, and float32
    everywhere else: on a GPU it is not measured.

    Args:
        mixed_precision: a name in `PRECISIONS`.
        cpu_info: file that lists the processor's features. Defaults to the system's.

    Example:

    >>> dtype_policy("off"), dtype_policy("bfloat16")
    ('float32', 'mixed_bfloat16')
    """
    if mixed_precision == "auto":
        try:
            has_tiles = _FASTER_WITH in cpu_info.read_text().split()
        except OSError:
            has_tiles = False
        mixed_precision = "bfloat16" if has_tiles else "off"
    return "mixed_bfloat16" if mixed_precision == "bfloat16" else "float32"


@contextmanager
def layers_of(policy: str) -> Iterator[None]:
    """Within, layers are made with this dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
