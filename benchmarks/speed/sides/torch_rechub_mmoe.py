"""torch-rechub's MMOE, trained by its `MTLTrainer`; run by the virtual environment that has torch-rechub.

    python torch_rechub_mmoe.py <task.json> <seed> <predictions.npy> <options as JSON>

No options. Batches are ready tensors: its own `DataGenerator` collates example by example, which would cost more than
the model.
"""

import json
import sys
import time

import numpy as np
import torch
from torch_rechub.basic.features import SparseFeature
from torch_rechub.models.multi_task import MMOE
from torch_rechub.trainers import MTLTrainer


def main(task_file: str, seed: str, output: str, options: str) -> None:
    with open(task_file) as file:
        task = json.load(file)
    arrays = np.load(task["arrays"])
    torch.set_num_threads(task["threads"])
    torch.manual_seed(int(seed))
    features = [
        SparseFeature(name, vocab_size=rows, embed_dim=task["embedding_dim"])
        for name, rows in zip(task["fields"], task["rows"], strict=True)
    ]
    kinds = ["classification"] * len(task["tasks"])
    model = MMOE(
        features,
        kinds,
        task["num_experts"],
        expert_params={"dims": task["expert_units"]},
        tower_params_list=[{"dims": task["tower_units"]} for _ in kinds],
    )
    trainer = MTLTrainer(model, kinds, optimizer_params={"lr": task["learning_rate"]})
    batch, warm_up = task["batch_size"], task["warm_up_steps"]
    ids, labels = torch.from_numpy(arrays["train_ids"]).long(), torch.from_numpy(arrays["train_labels"])
    batches = [
        (
            {name: ids[start : start + batch, k].contiguous() for k, name in enumerate(task["fields"])},
            labels[start : start + batch],
        )
        for start in range(0, len(ids) - batch + 1, batch)
    ]
    trainer.train_one_epoch(batches[:warm_up])
    started = time.perf_counter(), time.process_time()
    trainer.train_one_epoch(batches)
    seconds, cpu_seconds = time.perf_counter() - started[0], time.process_time() - started[1]
    test = torch.from_numpy(arrays["test_ids"]).long()
    requests = [{name: part[:, k] for k, name in enumerate(task["fields"])} for part in test.split(4096)]
    np.save(output, np.asarray(trainer.predict(model, requests), "float32"))
    print(json.dumps({"examples": len(batches) * batch, "seconds": seconds, "cpu_seconds": cpu_seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
