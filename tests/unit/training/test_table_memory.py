"""What the tables take is known before they are made."""

from pathlib import Path

import pytest

from tests.support.tiny_problem import tiny_inputs
from tfmtl.training.table_memory import available_bytes, check_table_memory, table_bytes


def test_rows_times_width_times_four_times_slots() -> None:
    inputs = tiny_inputs()
    sizes = table_bytes(inputs, 2)
    assert set(sizes) == set(inputs.problem.tables)
    assert sizes["item"] == inputs.table_rows["item"] * 8 * 4 * 3
    assert sizes["topic"] == inputs.table_rows["topic"] * 4 * 4 * 3
    assert table_bytes(inputs, 0)["item"] == sizes["item"] // 3
    assert list(sizes.values()) == sorted(sizes.values(), reverse=True)


def test_too_large_tables_are_an_error_that_names_the_largest() -> None:
    inputs = tiny_inputs()
    sizes = table_bytes(inputs, 2)
    largest = next(iter(sizes))
    total = sum(sizes.values())
    line = check_table_memory(inputs, 2, lambda: total)
    assert line.startswith("Embedding tables: 6 with ")
    assert line.endswith(" available.")
    with pytest.raises(ValueError, match=rf"embedding tables that fit into memory .* The largest: '{largest}' .*KiB"):
        check_table_memory(inputs, 2, lambda: total - 1)
    assert check_table_memory(inputs, 2, lambda: total - 1, force=True)
    assert "available" not in check_table_memory(inputs, 2, lambda: None)


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    assert available_bytes(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal:  900 kB\nMemAvailable:  500 kB\n")
    assert available_bytes(tmp_path) == 500 * 1024
    groups = tmp_path / "sys" / "fs" / "cgroup"
    groups.mkdir(parents=True)
    (groups / "memory.max").write_text("max\n")
    (groups / "memory.current").write_text("1000\n")
    assert available_bytes(tmp_path) == 500 * 1024
    (groups / "memory.max").write_text("11000\n")
    assert available_bytes(tmp_path) == 10_000
    assert (available_bytes() or 0) > 1e6
