"""Runs on the made-up ads: which of them is another run, and how they are compared."""

from typing import Any

from benchmarks.quality.creatives import VARIANTS, is_done, run_of, table
from tfmtl.pipelines.datasets.creatives import ADS

PROTOCOL = {"number": 100, "epochs": 2, "options": {"batch_size": 64}}


def record(variant: str, seed: int, harrell: float) -> dict[str, Any]:
    return {"variant": variant, "seed": seed, "harrell": harrell, "best": 0.8} | dict.fromkeys(
        ("way", "ibs", "week_harrell", "week_ibs"), 0.5
    )


def test_a_run_of_another_protocol_or_problem_is_another_run() -> None:
    run = run_of("everything", 1, PROTOCOL, ADS.problem)
    assert is_done(run, [run | {"harrell": 0.7}])
    others = [PROTOCOL | {"number": 200}, PROTOCOL | {"epochs": 3}, PROTOCOL | {"options": {"batch_size": 32}}]
    changed = [run_of("everything", 1, protocol, ADS.problem) for protocol in others]
    changed += [run_of("everything", 2, PROTOCOL, ADS.problem), run_of("one term", 1, PROTOCOL, ADS.problem)]
    changed.append(run_of("everything", 1, PROTOCOL, VARIANTS["one term"](ADS.problem)))
    assert not any(is_done(each, [run]) for each in changed)


def test_a_variant_is_compared_with_everything_of_the_same_seed() -> None:
    records = [record("everything", 1, 0.75), record("without title", 2, 0.6), record("without title", 1, 0.7)]
    lines = table(records).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    [row] = [line for line in lines if "without title" in line]
    assert "| 1, 2 | 0.6500 ±" in row
    assert "| -0.050 | +0.000 |" in row  # of seed 2 there is nothing to compare with
