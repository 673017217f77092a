"""The processes that the package itself runs to their end come out of the warm one: as fresh, and seconds faster."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.fresh_process import run_fresh


def quicken_processes() -> None:
    """From now on `subprocess.run` forks the warm process where a module of the package asks for a new Python.

    That is `verify`, and the check of a feature kind in another process. What tests start themselves is as ever.
    """
    run = subprocess.run

    def quicker(command: Any, *arguments: Any, **options: Any) -> Any:
        asked_by = str(sys._getframe(1).f_globals.get("__name__"))
        if asked_by.startswith("tfmtl.") and command[0] == sys.executable:
            return run_fresh(*command[1:], env=options.get("env"), cwd=Path.cwd(), check=False)
        return run(command, *arguments, **options)

    subprocess.run = quicker  # type: ignore[assignment]
