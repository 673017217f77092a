"""The table of the speed comparison: operations counted, ratios taken round by round."""

import pytest

from benchmarks.speed.peer_sides import DEEPCTR, TORCH_RECHUB
from benchmarks.speed.peer_table import peer_table, step_flops

pytestmark = pytest.mark.process

_TASK = {
    "fields": ["a", "b", "c"],
    "embedding_dim": 2,
    "num_experts": 5,
    "expert_units": [7, 4],
    "tower_units": [3],
    "tasks": ["click", "buy"],
    "batch_size": 10,
    "learning_rate": 1e-3,
    "threads": 2,
}


def _run(side, round_, seconds, auc=0.75):
    return {"side": side, "round": round_, "examples": 1000, "seconds": seconds, "cpu_seconds": 2.0, "auc": [auc, auc]}


def _row(table, side):
    line = next(line for line in table.splitlines() if line.startswith(f"| {side} |"))
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_operations_are_those_of_every_product_forward_and_for_both_factors_backward():
    experts = 5 * (6 * 7 + 7 * 4)
    gates = 2 * 6 * 5
    mixing = 2 * 5 * 4
    towers = 2 * (4 * 3 + 3 * 1)
    assert step_flops(_TASK) == 3 * 2 * 10 * (experts + gates + mixing + towers)


def test_ratio_is_the_median_of_ratios_and_not_the_ratio_of_medians():
    seconds = {DEEPCTR: [1.0, 9.0, 4.0], TORCH_RECHUB: [1.0, 1.0, 1.0], "tfmtl": [0.5, 3.0, 4.0]}
    runs = [_run(side, k, own[k]) for k in range(3) for side, own in seconds.items()]
    cells = _row(peer_table(_TASK, runs, 3), "tfmtl")
    assert cells[1] == "333 (250 - 2,000)"
    assert cells[2] == "2.00 (1.00 - 3.00)"  # the medians would give 4 to 3
    assert cells[3] == "0.33 (0.25 - 2.00)"
    assert cells[5:7] == ["1.00 (1.00 - 1.00)"] * 2  # all take the same processor time


def test_histories_add_an_attention_unit_for_every_event_and_widen_the_experts():
    task = {**_TASK, "history": "a", "length": 11, "attention_units": [6]}
    unit = 11 * (4 * 2 * 6 + 6 * 1 + 1 * 2)  # and the weighted sum
    wider = {**_TASK, "fields": ["a", "b", "c", "d"]}
    assert step_flops(task) == step_flops(wider) + 3 * 2 * 10 * unit


def test_mean_auc_and_processor_time_of_a_step():
    runs = [_run("tfmtl", 0, 1.0, auc=0.7), _run("tfmtl", 1, 1.0, auc=0.9)]
    cells = _row(peer_table(_TASK, runs, 2), "tfmtl")
    assert cells[2:7] == ["", "", "20", "", ""]  # 2 s for 100 steps; no peer, no ratio
    assert cells[9:] == ["0.8000", "0.8000"]


def test_products_alone_have_a_rate_and_no_examples():
    runs = [{"side": "products", "round": 0, "flops": 6e9, "seconds": 2.0, "cpu_seconds": 3.0}]
    cells = _row(peer_table(_TASK, runs, 1), "products")
    assert cells == ["products", "", "", "", "", "", "", "3", "2", "", ""]
