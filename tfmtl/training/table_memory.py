"""Check before training that the embedding tables fit into memory."""

from collections.abc import Callable
from pathlib import Path

from tfmtl.schema import ModelInputs
from tfmtl.schema.checks import error_text

_BYTES = 4  # of a float32
_SHOWN = 3


def table_bytes(inputs: ModelInputs, slots: int) -> dict[str, int]:
    """Bytes of every embedding table and what is kept beside it, the largest first: rows x width x 4 x (1 + slots).

    Args:
        inputs: `ModelInputs`.
        slots: int. Values that training keeps for each weight: 2 of Adam, 1 of an average.
    """
    sizes = {
        each.table: inputs.table_rows[each.table] * each.dim * _BYTES * (1 + slots)
        for each in inputs.problem.field_tensors
        if each.table is not None
    }
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def available_bytes(root: Path = Path("/")) -> int | None:
    """Memory that the process may still take: the machine's, or its container's if that is less; `None` if unknown."""
    found = []
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            found.append(int(line.split()[1]) * 1024)
    groups = root / "sys/fs/cgroup"
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        values = [*_lines(groups / limit), *_lines(groups / used)]
        if len(values) == 2 and all(value.isdigit() for value in values):
            found.append(max(0, int(values[0]) - int(values[1])))
    return min(found, default=None)


def check_table_memory(
    inputs: ModelInputs, slots: int, available: Callable[[], int | None] = available_bytes, force: bool = False
) -> str:
    """One line on the memory of the tables.

    Args:
        inputs: `ModelInputs`.
        slots: int. As in `table_bytes`.
        available: function returning the bytes at hand, or `None`. Defaults to `available_bytes`.
        force: bool. Whether to go on in any case. Defaults to `False`.

    Raises:
        ValueError: the tables need more than there is.
    """
    sizes = table_bytes(inputs, slots)
    total, there = sum(sizes.values()), available()
    beside = "" if there is None else f" of {_shown(there)} available"
    if there is not None and total > there and not force:
        largest = ", ".join(f"'{table}' {_shown(size)}" for table, size in list(sizes.items())[:_SHOWN])
        needed = f"{_shown(total)} with the optimizer's state and averages{beside}"
        rule = f"have embedding tables that fit into memory ({needed})"
        advice = (
            f"The largest: {largest}. Raise `min_count`, lower `dim`, set `hash_buckets`, or try it all the same with "
            "memory_check=False (--no-memory-check)."
        )
        raise ValueError(error_text("fit", "data", rule, inputs.problem.name, advice))
    return f"Embedding tables: {len(sizes)} with {_shown(total)}, the optimizer's state and averages included{beside}."


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _shown(size: int) -> str:
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
