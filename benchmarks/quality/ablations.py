"""Ablations of DTRN, DEPHN and APEM: each network without one of its parts.

    python -m benchmarks.quality.ablations <data folder>

The folder is `tfmtl preprocess`'s. Nothing is scaled or tuned: a row differs from its network in the one named part.
Writes docs/results/ablations_<problem>.md and .jsonl.
"""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.quality.experiment import measure, results_folder, write_text
from benchmarks.quality.jobs import Variant
from benchmarks.quality.multi_behavior import problem_name
from benchmarks.quality.tables import quality_table

NETWORKS = {
    "DTRN": (
        Variant("DTRN", "dtrn"),
        Variant("DTRN without TIM", "dtrn", {"encoder": "shared"}),
        Variant("DTRN without TRM", "dtrn", {"gate": "off"}),
        Variant("DTRN without skip", "dtrn", {"use_skip": False}),
        Variant("DTRN without task embedding", "dtrn", {"task_dim": 0}),
        Variant("DTRN without behavior embedding", "dtrn", {"behavior_dim": 0}),
        Variant("DTRN, a Transformer a pair", "dtrn", {"encoder": "independent"}),
    ),
    "DEPHN": (
        Variant("DEPHN", "dephn"),
        Variant("DEPHN without virtual gradient", "dephn", {"function": None}),
        Variant("DEPHN without mappings", "dephn", {"mappings": ("identity",)}),
        Variant("DEPHN, homogeneous experts", "dephn", {"private_experts": "mlp"}),
    ),
    "APEM": (
        Variant("APEM", "apem"),
        Variant("APEM without set attention", "apem", {"use_set_attention": False}),
        Variant("APEM without squeeze-and-excitation", "apem", {"se_axis": "off"}),
        Variant("APEM, fixed indicators", "apem", {"adaptive": False}),
    ),
}


def main(
    data: Annotated[Path, typer.Argument(help="Output folder of `tfmtl preprocess`.")],
    seeds: str = "0,1,2,3,4",
    epochs: int = 8,
    networks: str = "DTRN,DEPHN,APEM",
    quick: Annotated[bool, typer.Option(help="One seed, one epoch.")] = False,
) -> None:
    """Trains all variants and writes a table a network."""
    if quick:
        seeds, epochs = "0", 1
    name = f"ablations_{problem_name(data)}"
    done = results_folder(quick) / f"{name}.jsonl"
    chosen = [NETWORKS[network] for network in networks.split(",")]
    everything = [variant for variants in chosen for variant in variants]
    records = measure(done, data, everything, [int(seed) for seed in seeds.split(",")], epochs=epochs)
    lines = [f"# Ablations on {problem_name(data)}", "", "Paired t-test against the whole network."]
    for variants in chosen:
        names = [variant.name for variant in variants]
        own = [record for record in records if record["variant"] in names]
        lines += ["", f"## {names[0]}", "", quality_table(own, names[:1])]
    write_text(done.with_suffix(".md"), records, "\n".join(lines))


if __name__ == "__main__":
    typer.run(main)
