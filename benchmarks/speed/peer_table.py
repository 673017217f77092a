"""The comparison as a table."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.speed.peer_sides import DEEPCTR, TORCH_RECHUB


def step_flops(task: Mapping[str, Any]) -> int:
    """Floating-point operations of one step's matrix products, forward and backward.

    A product of `(B, in)` and `(in, out)` takes `2 B in out`, and backward as much again for either factor. What is
    not a product of matrices (embeddings, activations, optimiser) is left out.
    """
    width = len(task["fields"]) * task["embedding_dim"]
    tasks, experts = len(task["tasks"]), task["num_experts"]
    expert_out = task["expert_units"][-1]
    products = [
        *((experts, *pair) for pair in _layers(width, task["expert_units"])),
        (tasks, width, experts),  # gates
        (1, tasks * experts, expert_out),  # mixing: (T, E) times (E, H) for every example
        *((tasks, *pair) for pair in _layers(expert_out, [*task["tower_units"], 1])),
    ]
    return sum(6 * task["batch_size"] * count * wide * high for count, wide, high in products)


def _layers(width: int, units: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip([width, *units[:-1]], units, strict=True))


def peer_table(task: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], rounds: int) -> str:
    """Markdown: the table, and how it was made.

    Args:
        task: what the sides were told.
        runs: a record for every side and round.
        rounds: how many there were.
    """
    flops = step_flops(task)
    by_side: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        by_side.setdefault(run["side"], []).append(run)
    rates = {name: [_rate(run) for run in own] for name, own in by_side.items() if "examples" in own[0]}
    tops = {
        name: [run["flops"] / run["seconds"] / 1e9 for run in own] for name, own in by_side.items() if "flops" in own[0]
    }
    lines = [
        "# Training speed beside DeepCTR and torch-rechub",
        "",
        f"MMoE on Census-Income: {len(task['fields'])} categorical fields of width {task['embedding_dim']}, "
        f"{task['num_experts']} experts {'-'.join(map(str, task['expert_units']))}, towers "
        f"{'-'.join(map(str, task['tower_units']))}, batch {task['batch_size']}, Adam {task['learning_rate']:g}, one epoch, "
        f"{task['threads']} threads. Medians of {rounds} rounds, ratios those of the same round; in brackets the lowest and "
        "the highest. CPU is processor time of all threads, which other work on the machine disturbs less.",
        "",
        "| side | examples/s | to DeepCTR | to torch-rechub | CPU ms a step | GFLOP/s | "
        + " | ".join(f"AUC {name}" for name in task["tasks"])
        + " |",
        "|---" * (6 + len(task["tasks"])) + "|",
    ]
    for name, own in rates.items():
        cpu = median(run["cpu_seconds"] / run["examples"] * task["batch_size"] for run in by_side[name])
        aucs = [f"{_mean(run['auc'][k] for run in by_side[name]):.4f}" for k in range(len(task["tasks"]))]
        cells = [
            name,
            f"{median(own):,.0f} ({min(own):,.0f} - {max(own):,.0f})",
            _ratio(own, rates.get(DEEPCTR)),
            _ratio(own, rates.get(TORCH_RECHUB)),
            f"{1e3 * cpu:.0f}",
            f"{median(own) / task['batch_size'] * flops / 1e9:.0f}",
            *aucs,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"A step's matrix products, forward and backward, are {flops / 1e9:.2f} GFLOP. "]
    for name, own in tops.items():
        lines[-1] += f"The {name}, at the same shapes and in the same rounds: {median(own):.0f} GFLOP/s. "
    lines += [
        "",
        "AUCs are means over the rounds, each with another seed.",
        "",
        f"    {_command(rounds, task)}",
        "",
        _facts(),
        "",
    ]
    return "\n".join(line.rstrip() for line in lines)


def _rate(run: Mapping[str, Any]) -> float:
    return float(run["examples"] / run["seconds"])


def _ratio(own: Sequence[float], other: Sequence[float] | None) -> str:
    if other is None:
        return ""
    ratios = [mine / its for mine, its in zip(own, other, strict=True)]
    return f"{median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})"


def _mean(values: Any) -> float:
    values = list(values)
    return sum(values) / len(values)


def _command(rounds: int, task: Mapping[str, Any]) -> str:
    return f"python -m benchmarks.speed.peers <folder> --rounds {rounds} --threads {task['threads']}"


def _facts() -> str:
    """Hardware and commit."""
    model = platform.processor() or platform.machine()
    flags = ""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        text = info.read_text()
        model = next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), model)
        known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {flag}" in text]
        flags = f" ({', '.join(known)})"
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    ).stdout.strip()
    return f"{model}{flags}, {os.cpu_count()} cores; commit {commit or 'unknown'}."
