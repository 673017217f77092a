"""An environment with one wheel and what the wheel declares, and nothing else.

What it declares is linked from the environment that runs the tests, so that nothing is downloaded and TensorFlow is not
copied. A package that is imported but not declared is missing there, as it would be on a user's machine.
"""

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


class LinkedEnvironment:
    """A virtual environment.

    Args:
        folder: Path. Where it is made.
        wheel: Path. What is installed; what it declares without extras is linked.

    Attributes:
        folder: Path.
        python: Path. Its interpreter.
        names: set of str. The packages in it.
    """

    def __init__(self, folder: Path, wheel: Path) -> None:
        venv.create(folder, symlinks=True)
        self.folder = folder
        self.python = folder / "bin" / "python"
        self._site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
        self._pip("install", "--no-deps", "--no-index", str(wheel))
        name = wheel.name.partition("-")[0]
        self.names = {canonicalize_name(name)}
        [metadata] = self._site.glob(f"{name}-*.dist-info/METADATA")
        lines = metadata.read_text(encoding="utf-8").splitlines()
        self._link(line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: "))

    def run(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        """Runs its Python, which sees nothing outside the environment."""
        command = [str(self.python), "-I", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, env=_variables(), cwd=self.folder)

    def check(self) -> str:
        """What `pip check` says."""
        return self._pip("check")

    def _pip(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(self.python), *arguments]
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=_variables())
        return found.stdout

    def _link(self, requirements: Iterable[str], extras: Iterable[str] = ("",)) -> None:
        for requirement in map(Requirement, requirements):
            wanted = requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in extras
            )
            name = canonicalize_name(requirement.name)
            if not wanted or name in self.names:
                continue
            self.names.add(name)
            found = distribution(name)
            assert requirement.specifier.contains(found.version, prereleases=True), f"{requirement}: {found.version}"
            for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
                place = self._site / top
                if not place.exists():
                    place.symlink_to(Path(str(found.locate_file(top))).resolve())
            self._link(found.requires or (), requirement.extras or ("",))


def _variables() -> dict[str, str]:
    """This process's, without those that would let another package in."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
