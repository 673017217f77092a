"""Start TensorFlow without its start-up messages."""

import os
import sys
import tempfile


def start_tensorflow() -> None:
    """Imports TensorFlow; what it writes to standard error meanwhile is shown only if the import fails.

    TensorFlow's C++ code notes its CPU features and the absence of a GPU before any log level applies, eight lines
    in front of the one line that matters.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # for what comes later
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        failed = True
        try:
            import keras  # noqa: F401
            import tensorflow as tf

            tf.config.list_physical_devices()  # looks for GPUs, with more notes
            failed = False
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            if failed:
                notes.seek(0)
                sys.stderr.buffer.write(notes.read())
