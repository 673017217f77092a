"""One training with DeepXDE (PyTorch); runs in an environment of its own, see `benchmarks/operators/deepxde.py`."""

import json
import os
import sys
import time

os.environ["DDE_BACKEND"] = "pytorch"
import deepxde as dde
import numpy as np
import torch

torch.set_num_threads(1)
torch.set_num_interop_threads(1)
WIDTH, LATENT, BATCH, WARM = 128, 100, 100, 50


def main() -> None:
    path, kind, steps, seed, rate = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
    dde.config.set_random_seed(seed)
    arrays = dict(np.load(path))
    start = arrays["train_initial"]
    center, spread = start.mean(axis=0), start.std(axis=0)

    def branch(split: str) -> np.ndarray:
        return np.concatenate([arrays[f"{split}_coefficients"], (arrays[f"{split}_initial"] - center) / spread], axis=1)

    fields = arrays["train_fields"]
    points = (arrays["points"] - arrays["points"].mean(axis=0)) / arrays["points"].std(axis=0)
    data = dde.data.TripleCartesianProd(
        (branch("train").astype(np.float32), points.astype(np.float32)),
        fields,
        (branch("test").astype(np.float32), points.astype(np.float32)),
        arrays["test_fields"],
    )
    layers = [68, WIDTH, WIDTH, LATENT]
    if kind == "pod":
        mean = fields.mean(axis=0)
        _, _, modes = np.linalg.svd((fields - mean).astype(np.float64), full_matrices=False)
        basis = (modes[:LATENT].T * np.sqrt(len(mean)) / np.sqrt(LATENT) * fields.std()).astype(np.float32)
        net = dde.nn.PODDeepONet(basis, layers, torch.nn.functional.gelu, "Glorot normal")
        offset, scale = torch.as_tensor(mean), 1.0
    else:
        net = dde.nn.DeepONetCartesianProd(
            layers, [2, WIDTH, WIDTH, WIDTH, LATENT], torch.nn.functional.gelu, "Glorot normal"
        )
        offset, scale = float(fields.mean()), float(fields.std()) / np.sqrt(LATENT)
    net.apply_output_transform(lambda inputs, outputs: outputs * scale + offset)
    model = dde.Model(data, net)
    model.compile("adam", lr=rate, decay=("cosine", steps, 0.0), loss="mean l2 relative error")
    never = steps + 1
    model.train(iterations=WARM, batch_size=BATCH, display_every=never, verbose=0)
    began, processor = time.perf_counter(), time.process_time()
    model.train(iterations=steps - WARM, batch_size=BATCH, display_every=never, verbose=0)
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    guess = model.predict(data.test_x)
    truth = arrays["test_fields"]
    errors = np.linalg.norm(guess - truth, axis=1) / np.linalg.norm(truth, axis=1)
    by_task = {str(name): float(errors[arrays["test_tasks"] == k].mean()) for k, name in enumerate(arrays["tasks"])}
    timed = steps - WARM
    print(
        json.dumps({"steps": steps, "errors": by_task, "ms": 1e3 * seconds / timed, "cpu_ms": 1e3 * processor / timed})
    )


if __name__ == "__main__":
    main()
