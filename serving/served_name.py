"""The name under which an exported model is served."""

from pathlib import Path

from serving.version_folders import find_versions
from tfmtl.schema import Problem

PROBLEM_FILE = Path("assets.extra") / "problem.yaml"


def served_name(base_dir: Path) -> str:
    """The problem's name, as the newest version's problem file says; without one, that of the folder of versions."""
    folders = find_versions(base_dir).values() if base_dir.is_dir() else ()
    files = [folder / PROBLEM_FILE for folder in folders if (folder / PROBLEM_FILE).is_file()]
    return Problem.load(files[0]).name if files else base_dir.resolve().name
