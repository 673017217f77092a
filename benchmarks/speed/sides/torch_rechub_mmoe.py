"""torch-rechub's MMOE, trained by its `MTLTrainer`; run by the virtual environment that has torch-rechub.

    python torch_rechub_mmoe.py <task.json> <seed> <predictions.npy> <options as JSON>

No options. Where the task has histories, the attention of its DIN stands in front of MMOE's experts; it does not mask
padding. Batches are ready tensors: its own `DataGenerator` collates example by example, which would cost more than
the model.
"""

import json
import sys
import time

import numpy as np
import torch
from torch_rechub.basic.features import SequenceFeature, SparseFeature
from torch_rechub.basic.layers import EmbeddingLayer
from torch_rechub.models.multi_task import MMOE
from torch_rechub.models.ranking.din import ActivationUnit
from torch_rechub.trainers import MTLTrainer


class DinMmoe(MMOE):
    """`torch_rechub`'s DIN up to its attention, then its MMOE from the experts on."""

    def __init__(
        self, features: list, past: SequenceFeature, target: str, units: list[int], *arguments, **more
    ) -> None:
        pooled = SparseFeature("pooled", vocab_size=1, embed_dim=past.embed_dim)  # makes the experts wide enough
        super().__init__([*features, pooled], *arguments, **more)
        self.features, self.past = features, past
        self.position = [feature.name for feature in features].index(target)
        self.embedding = EmbeddingLayer([*features, past])
        self.attention = ActivationUnit(past.embed_dim, dims=units, activation="relu", use_softmax=True)

    def forward(self, x: dict) -> torch.Tensor:
        fields = self.embedding(x, self.features)  # (B, F, D)
        past = self.embedding(x, [self.past])[:, 0]  # (B, L, D)
        seen = self.attention(past, fields[:, self.position])
        joined = torch.cat([fields.flatten(start_dim=1), seen], dim=1)
        experts = torch.stack([expert(joined) for expert in self.experts], dim=1)
        made = []
        for gate, tower, predict in zip(self.gates, self.towers, self.predict_layers, strict=True):
            mixed = torch.sum(gate(joined).unsqueeze(-1) * experts, dim=1)
            made.append(predict(tower(mixed)))
        return torch.cat(made, dim=1)


def main(task_file: str, seed: str, output: str, options: str) -> None:
    with open(task_file) as file:
        task = json.load(file)
    arrays = dict(np.load(task["arrays"]))
    torch.set_num_threads(task["threads"])
    torch.manual_seed(int(seed))
    features = [
        SparseFeature(name, vocab_size=rows, embed_dim=task["embedding_dim"])
        for name, rows in zip(task["fields"], task["rows"], strict=True)
    ]
    kinds = ["classification"] * len(task["tasks"])
    sizes = {
        "expert_params": {"dims": task["expert_units"]},
        "tower_params_list": [{"dims": task["tower_units"]} for _ in kinds],
    }
    name = task.get("history")
    if name:
        rows = task["rows"][task["fields"].index(name)]
        past = SequenceFeature(
            f"hist_{name}",
            vocab_size=rows,
            embed_dim=task["embedding_dim"],
            pooling="concat",
            shared_with=name,
            padding_idx=0,
        )
        model = DinMmoe(features, past, name, task["attention_units"], kinds, task["num_experts"], **sizes)
    else:
        model = MMOE(features, kinds, task["num_experts"], **sizes)
    trainer = MTLTrainer(model, kinds, optimizer_params={"lr": task["learning_rate"]})
    batch, warm_up = task["batch_size"], task["warm_up_steps"]
    labels = torch.from_numpy(arrays["train_labels"])

    def inputs(part: str, rows: slice) -> dict[str, torch.Tensor]:
        some = torch.from_numpy(arrays[f"{part}_ids"][rows]).long()
        found = {field: some[:, k].contiguous() for k, field in enumerate(task["fields"])}
        if name:
            found[f"hist_{name}"] = torch.from_numpy(arrays[f"{part}_history"][rows]).long()
        return found

    batches = [
        (inputs("train", slice(start, start + batch)), labels[start : start + batch])
        for start in range(0, len(labels) - batch + 1, batch)
    ]
    trainer.train_one_epoch(batches[:warm_up])
    started = time.perf_counter(), time.process_time()
    trainer.train_one_epoch(batches)
    seconds, cpu_seconds = time.perf_counter() - started[0], time.process_time() - started[1]
    requests = [inputs("test", slice(k, k + 4096)) for k in range(0, len(arrays["test_ids"]), 4096)]
    np.save(output, np.asarray(trainer.predict(model, requests), "float32"))
    print(json.dumps({"examples": len(batches) * batch, "seconds": seconds, "cpu_seconds": cpu_seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
