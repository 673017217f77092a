"""The `tfmtl` command inside the test process (starting TensorFlow anew for each call would take minutes)."""

import contextlib
import io
import sys
from dataclasses import dataclass
from unittest import mock

from tfmtl.pipelines.cli import app, step_command


@dataclass(frozen=True)
class Result:
    """Exit status and what was printed."""

    code: int
    out: str
    err: str


def tfmtl(*arguments: object) -> Result:
    """Runs the command as `main` does and returns its result."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        mock.patch.object(sys, "argv", ["tfmtl", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(app, "start_tensorflow"),
        mock.patch.object(step_command, "start_tensorflow"),
        mock.patch.object(app.logging, "basicConfig"),  # the process's logging belongs to the tests
    ):
        try:
            app.main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
    return Result(code, out.getvalue(), err.getvalue())
