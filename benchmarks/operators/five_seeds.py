"""The tables of the operator networks over several seeds, one record per row, going on where it stopped.

    python -m benchmarks.operators.five_seeds fisher --steps 12000 --jobs "trivial;multi-task" -o fisher_long.jsonl

A record has the mean error of every task, its worst sample, steps and seconds. The processor's load by others changes
seconds, not errors: trainings end by steps.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfmtl.pipelines.physics.studies import STUDIES


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("problem", choices=list(STUDIES))
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", default="", help="separated by semicolons; default: all")
    parser.add_argument("--curve", default="", help="samples a task, comma-separated; default: the command's")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    done = set()
    if arguments.output.exists():
        done = {(line["seed"], line["job"]) for line in map(json.loads, arguments.output.read_text().splitlines())}
    problem = STUDIES[arguments.problem]
    for seed in range(arguments.seeds):
        options = {"curve": tuple(map(int, arguments.curve.split(",")))} if arguments.curve else {}
        study = problem.make(problem.setting(arguments.steps, seed), **options)
        for name, job in study.jobs().items():
            if (seed, name) in done or (arguments.jobs and name not in arguments.jobs.split(";")):
                continue
            if name == "trivial" and seed:
                continue  # nothing in it is random
            records = [
                {
                    "seed": seed,
                    "job": name,
                    "row": row.name,
                    "steps": row.steps,
                    "seconds": round(row.seconds, 2),
                    "processor_seconds": round(row.processor_seconds, 2),
                    "errors": {task: round(error, 5) for task, error in row.means().items()},
                    "worst": {task: round(float(np.max(errors)), 4) for task, errors in row.errors.items()},
                }
                for row in job()
            ]
            with arguments.output.open("a") as file:
                file.write("".join(json.dumps(record) + "\n" for record in records))
            print(seed, name, [record["errors"] for record in records], flush=True)


if __name__ == "__main__":
    main()
