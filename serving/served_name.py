"""The name under which an exported model is served."""

from pathlib import Path

from tfmtl.schema import Problem


def served_name(base_dir: Path) -> str:
    """The problem's name, as the newest version's problem file says; without one, that of the folder of versions."""
    files = sorted(base_dir.glob("[0-9]*/assets.extra/problem.yaml"), key=lambda path: int(path.parts[-3]))
    return Problem.load(files[-1]).name if files else base_dir.resolve().name
