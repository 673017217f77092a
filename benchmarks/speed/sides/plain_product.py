"""The matrix products of one training step and nothing else: what the machine gives at these shapes.

    python plain_product.py <task.json> <seed> <predictions.npy> <options as JSON>

Option `dtype`. Takes the experts' two layers, forward and backward, outside XLA; writes no predictions.
"""

import json
import sys
import time

from tfmtl.pipelines.cli.quiet_start import start_tensorflow

_SECONDS = 3.0


def main(task_file: str, seed: str, output: str, options: str) -> None:
    start_tensorflow()
    import tensorflow as tf

    with open(task_file) as file:
        task = json.load(file)
    tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(task["threads"])
    dtype, batch, experts = json.loads(options)["dtype"], task["batch_size"], task["num_experts"]
    width, (first, second) = len(task["fields"]) * task["embedding_dim"], task["expert_units"]

    def drawn(*shape: int) -> tf.Tensor:
        return tf.cast(tf.random.normal(shape), dtype)

    products = [
        (drawn(batch, width), drawn(width, experts * first), drawn(batch, experts * first)),
        (drawn(experts, batch, first), drawn(experts, first, second), drawn(experts, batch, second)),
    ]

    @tf.function
    def step() -> tf.Tensor:
        results = []
        for inputs, kernel, gradient in products:
            results.append(tf.matmul(inputs, kernel))
            results.append(tf.matmul(inputs, gradient, transpose_a=True))
            results.append(tf.matmul(gradient, kernel, transpose_b=True))
        return tf.add_n([tf.cast(tf.reshape(result, [-1])[0], tf.float32) for result in results])

    step().numpy()
    steps, started = 0, (time.perf_counter(), time.process_time())
    while time.perf_counter() - started[0] < _SECONDS:
        step().numpy()
        steps += 1
    seconds, cpu_seconds = time.perf_counter() - started[0], time.process_time() - started[1]
    flops = 6 * batch * experts * (width * first + first * second)
    print(json.dumps({"flops": steps * flops, "seconds": seconds, "cpu_seconds": cpu_seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
