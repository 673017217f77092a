"""One log for every engine."""

from pathlib import Path

from tests.support.small_log import small_log, write_csv, write_parquet


def write_log(folder: Path) -> Path:
    """Three files of three kinds in `folder`, one with a row that is rejected."""
    folder.mkdir(exist_ok=True)
    rows = small_log(300, ties=True)
    write_csv(folder / "a.csv", [*rows[:100], {**rows[0], "age": "old"}])
    write_parquet(folder / "b.parquet", rows[100:250])
    write_csv(folder / "c.csv.gz", rows[250:])
    return folder


def whole(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
