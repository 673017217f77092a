"""Run `tfmtl schema infer` on a file: the problem that it writes, or why it writes none."""

from pathlib import Path

from tests.support.command import tfmtl
from tfmtl.schema import Problem


def infer(tmp_path: Path, file: object, *options: str) -> tuple[Problem, str]:
    """The problem that `tfmtl schema infer` writes, and its text."""
    output = tmp_path / "problem.yaml"
    result = tfmtl("schema", "infer", file, "-o", output, "--overwrite", *options)
    assert result.code == 0, result.err
    return Problem.load(output), output.read_text()


def infer_refused(tmp_path: Path, file: object, *options: str) -> str:
    """What `tfmtl schema infer` says where it writes nothing."""
    result = tfmtl("schema", "infer", file, "-o", tmp_path / "problem.yaml", *options)
    assert result.code == 2
    assert not (tmp_path / "problem.yaml").exists()
    return result.err
