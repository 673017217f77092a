"""Seeds before every test, without TensorFlow's forgetting each time what it has compiled."""

import sys
from typing import Any

_DATA = "tensorflow/python/data/util/random_seed.py"


class QuickSeed:
    """Sets every seed as `keras.utils.set_random_seed` does, for a fraction of the time.

    TensorFlow empties its cache of kernels whenever it is seeded, since random operations keep their state in there.
    A function that several tests call is then optimized again in each of them, which takes longer than its tracing.
    The cache is left alone where no random operation asked for a seed since it was emptied last. Keras's own random
    operations have no state, so that few tests do; where one has put such an operation into a graph, which others may
    run again without asking, the cache is emptied every time from then on. Pipelines of data live no longer than a
    test. Now and then it is emptied anyway, for the memory.
    """

    TESTS = 10
    """After so many calls without it the cache is emptied in any case."""

    def __init__(self) -> None:
        from tensorflow.python.eager import context
        from tensorflow.python.framework import random_seed

        self._drawn = True  # by what came before
        self._in_a_graph = False
        self._left = self.TESTS
        self._runtime: Any = context.pywrap_tfe
        get_seed = random_seed.get_seed

        def noticed(op_seed: Any) -> Any:
            self._drawn = True
            if not context.executing_eagerly() and not sys._getframe(1).f_code.co_filename.endswith(_DATA):
                self._in_a_graph = True
            return get_seed(op_seed)

        noticed.__wrapped__ = get_seed  # type: ignore[attr-defined]
        random_seed.get_seed = noticed

    @property
    def empties(self) -> bool:
        """Whether the next call empties the cache."""
        return self._drawn or self._in_a_graph or not self._left

    def __call__(self, seed: int) -> None:
        """Sets Python's, NumPy's, TensorFlow's and Keras's seed."""
        import keras

        if self.empties:
            keras.utils.set_random_seed(seed)
            self._drawn, self._left = False, self.TESTS
            return
        self._left -= 1
        empty = self._runtime.TFE_ContextClearCaches
        self._runtime.TFE_ContextClearCaches = lambda context: None
        try:
            keras.utils.set_random_seed(seed)
        finally:
            self._runtime.TFE_ContextClearCaches = empty
