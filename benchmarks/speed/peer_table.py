"""The comparison as a table."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.speed.peer_sides import DEEPCTR, TORCH_RECHUB


def step_flops(task: Mapping[str, Any]) -> int:
    """Floating-point operations of one step's matrix products, forward and backward.

    A product of `(B, in)` and `(in, out)` takes `2 B in out`, and backward as much again for either factor. What is
    not a product of matrices (embeddings, activations, optimizer) is left out.
    """
    width = len(task["fields"]) * task["embedding_dim"]
    attention = []
    if "history" in task:
        width += task["embedding_dim"]
        pairs = _layers(4 * task["embedding_dim"], [*task["attention_units"], 1])
        attention = [(task["length"], *pair) for pair in [*pairs, (1, task["embedding_dim"])]]
    tasks, experts = len(task["tasks"]), task["num_experts"]
    expert_out = task["expert_units"][-1]
    products = [
        *attention,
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
    by_side: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        by_side.setdefault(run["side"], []).append(run)
    peers = ["to DeepCTR", "to torch-rechub"]
    heads = ["side", "examples/s", *peers, "CPU ms per step", *(f"CPU {peer}" for peer in peers)]
    heads += ["GFLOP/s", "GFLOP per CPU second"]
    heads += [f"AUC {name}" for name in task["tasks"]]
    rows = [_cells(name, own, by_side, task) for name, own in by_side.items()]
    table = [f"| {' | '.join(cells)} |" for cells in [heads, ["---"] * len(heads), *rows]]
    return "\n".join(
        [
            "# Training speed beside DeepCTR and torch-rechub",
            "",
            f"{_subject(task)}: {len(task['fields'])} categorical fields of width {task['embedding_dim']}, "
            f"{task['num_experts']} experts {'-'.join(map(str, task['expert_units']))}, towers "
            f"{'-'.join(map(str, task['tower_units']))}, batch {task['batch_size']}, Adam {task['learning_rate']:g}, "
            f"one epoch, {task['threads']} threads.",
            "",
            f"    python -m benchmarks.speed.peers <source> --rounds {rounds} --threads {task['threads']}",
            "",
            *table,
            "",
            f"Medians of {rounds} rounds, in brackets the lowest and the highest; ratios are those of one round, of "
            "examples/s or of processor time, larger where the peer takes longer. CPU is processor time of all "
            "threads, which other work on the machine disturbs less. A step's "
            f"matrix products, forward and backward, are {step_flops(task) / 1e9:.2f} GFLOP; the rows of products "
            "alone are the experts' and nothing else. AUCs are means over the rounds, each with another seed, on "
            "the whole test part.",
            "",
            _facts(),
            "",
        ]
    )


def _subject(task: Mapping[str, Any]) -> str:
    if "history" not in task:
        return "MMoE on Census-Income"
    return f"DIN's attention over {task['length']} films and MMoE on MovieLens-100K"


def _cells(
    name: str,
    own: Sequence[Mapping[str, Any]],
    by_side: Mapping[str, Sequence[Mapping[str, Any]]],
    task: Mapping[str, Any],
) -> list[str]:
    """A row: a model, or products alone, which have no examples."""
    batch, flops = task["batch_size"], step_flops(task)
    is_model = "examples" in own[0]
    work = [run["examples"] / batch * flops if is_model else run["flops"] for run in own]
    by_time = f"{median(done / run['seconds'] / 1e9 for done, run in zip(work, own, strict=True)):.0f}"
    by_cpu = f"{median(done / run['cpu_seconds'] / 1e9 for done, run in zip(work, own, strict=True)):.0f}"
    if not is_model:
        return [name, *[""] * 6, by_time, by_cpu, *[""] * len(task["tasks"])]
    rates = [_rate(run) for run in own]
    return [
        name,
        f"{median(rates):,.0f} ({min(rates):,.0f} - {max(rates):,.0f})",
        *(_ratio(own, by_side.get(peer), "seconds") for peer in (DEEPCTR, TORCH_RECHUB)),
        f"{1e3 * median(run['cpu_seconds'] / run['examples'] * batch for run in own):.0f}",
        *(_ratio(own, by_side.get(peer), "cpu_seconds") for peer in (DEEPCTR, TORCH_RECHUB)),
        by_time,
        by_cpu,
        *[f"{mean(run['auc'][k] for run in own):.4f}" for k in range(len(task["tasks"]))],
    ]


def _rate(run: Mapping[str, Any]) -> float:
    return float(run["examples"] / run["seconds"])


def _ratio(own: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]] | None, unit: str) -> str:
    """Of the examples in a second of time or of processor time, round by round; nothing where the peer was not run."""
    if other is None:
        return ""
    pairs = zip(own, other, strict=True)
    ratios = [float(mine["examples"] / mine[unit] / (its["examples"] / its[unit])) for mine, its in pairs]
    return f"{median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})"


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
