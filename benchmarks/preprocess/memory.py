"""How much memory the preprocessing job needs as the log grows, with as many rows per shard.

python -m benchmarks.preprocess.memory
"""

import sys
from typing import Annotated

import typer

from benchmarks.preprocess.click_log import write_log
from benchmarks.preprocess.throughput import JOBS, WORK, run_job


def main(
    rows: Annotated[list[int] | None, typer.Option(help="Sizes of the log.")] = None,
    at_most: Annotated[float, typer.Option(help="Peak of the largest log over that of the smallest.")] = 1.5,
) -> None:
    """Prints the peak of the resident memory for every size."""
    peaks = []
    print("| rows | peak MiB | rows/s |\n|---:|---:|---:|")
    for size in rows or [1_000_000, 4_000_000]:
        run = run_job(JOBS[0], write_log(WORK / f"log-{size}", size), size)
        peaks.append(run["peak_mib"])
        print(f"| {size:,} | {run['peak_mib']:,} | {run['rows'] / run['wall']:,.0f} |", flush=True)
    print(f"\nThe largest log takes {peaks[-1] / peaks[0]:.2f} times the memory of the smallest.")
    sys.exit(peaks[-1] / peaks[0] > at_most)


if __name__ == "__main__":
    typer.run(main)
