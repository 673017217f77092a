"""Export an operator network as a version that a server loads."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfmtl.export.versions import new_version
from tfmtl.export.warmup import predict_request, prediction_log
from tfmtl.operators.operator_data import OperatorData
from tfmtl.operators.operator_module import CODES, ENCODE, QUERY, RANGE, SHARED, OperatorModule, operator_specs
from tfmtl.operators.operator_network import OperatorNetwork
from tfmtl.schema.checks import check_one_of, error_text

_OWNER = "export_operator"
_SAMPLES, _POINTS = 8, 256  # of the golden requests


def export_operator(
    network: OperatorNetwork,
    data: OperatorData,
    directory: str | Path,
    model_name: str,
    version: int | None = None,
    check: Callable[[Path], object] | None = None,
) -> Path:
    """Writes `<directory>/<version>/` and returns it.

    The SavedModel takes and gives physical units; signatures as `OperatorModule` says. Beside it, in `assets.extra/`:
    `tf_serving_warmup_requests`, golden requests with the answers of the training graph, for the server's start and for
    `verify`; `operator.json`, inputs, outputs, training ranges and which signatures may be batched; `signature.md`, the
    same to read. Written under another name and renamed.

    Args:
        network: a trained `OperatorNetwork`.
        data: samples for the golden requests, such as the test set.
        directory: base directory of the model's versions.
        model_name: str. The name that clients will ask for.
        version: int or None. Defaults to `None`: one above the newest, 1 at first.
        check: called with the complete folder before it gets its name, such as `tfmtl.export.verify`; what it raises
            keeps the version from appearing. Defaults to `None`, no check.

    Raises:
        ValueError: the network has not been adapted and built, the data have no mask that it needs, the version is not
            positive or exists, or the directory is another step's output.
        TypeError: the version is not an int.
        OSError: a file cannot be written; other versions are as they were.
    """
    if not network.built:
        raise ValueError(f"{_OWNER}: `network` must be built. Received: one that is not. Train it first.")
    if network.use_mask and data.mask is None:
        raise ValueError(error_text(_OWNER, "data.mask", "be given, the network uses one", None, "Give masked data."))
    with new_version(_OWNER, Path(directory), version) as (written, final):
        module = OperatorModule(network)
        tf.saved_model.save(module, str(written.path), signatures=module.signatures())
        written.extra.mkdir()
        _write_golden(network, data, model_name, written.warmup)
        facts = _facts(network, data, model_name)
        written.operator.write_text(json.dumps(facts, indent=1) + "\n")
        written.page.write_text(_page(facts))
        if check is not None:
            check(written.path)
    return final


def _write_golden(network: OperatorNetwork, data: OperatorData, model_name: str, path: Path) -> None:
    """One request per signature, with one sample and with several."""
    chosen = np.linspace(0, len(data.points) - 1, min(_POINTS, len(data.points))).astype(int)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for count in sorted({1, min(_SAMPLES, len(data))}):
            rows = np.linspace(0, len(data) - 1, count).astype(int)
            inputs = {name: tf.constant(data.inputs[name][rows], tf.float32) for name in network.input_shapes}
            points = tf.constant(data.points[chosen])
            mask = {}
            if network.use_mask and data.mask is not None:
                mask = {"mask": tf.constant(data.mask[np.ix_(rows, chosen)], tf.float32)}
            codes = network.encode(inputs)
            values = network.query(codes, points, mask.get("mask"))
            each = {"points": tf.repeat(points[tf.newaxis], count, axis=0), **mask}
            requests: dict[str, tuple[Mapping[str, tf.Tensor], Mapping[str, tf.Tensor]]] = {
                "serving_default": ({**inputs, **each}, {"values": values}),
                ENCODE: (inputs, {CODES: codes}),
                QUERY: ({CODES: codes, **each}, {"values": values}),
                SHARED: ({**inputs, "points": points[tf.newaxis], **mask}, {"values": values}),
            }
            for signature, (tensors, answers) in requests.items():
                writer.write(prediction_log(predict_request(model_name, signature, tensors), answers))


def _facts(network: OperatorNetwork, data: OperatorData, model_name: str) -> dict[str, Any]:
    ranges = network.training_range.ranges
    return {
        "model": model_name,
        "tasks": list(data.task_names),
        "num_outputs": network.num_outputs,
        "point_range": [data.points.min(axis=0).tolist(), data.points.max(axis=0).tolist()],
        "coefficient_ranges": {name: list(ends) for name, ends in ranges.items()},
        "signatures": {
            name: {
                "inputs": {key: [spec.dtype.name, list(spec.shape)] for key, spec in specs.items()},
                "batched": name != SHARED,
            }
            for name, specs in operator_specs(network).items()
        },
    }


_PURPOSE = {
    "serving_default": "Inputs and points of every row -> `values`.",
    ENCODE: "Inputs -> `codes`, all that `query` needs to know of them. Computed once for any number of points.",
    QUERY: "`codes` and points of every row -> `values`.",
    SHARED: "Inputs of every row and points for all rows -> `values`. NOT batched with other requests: its points have "
    "one row.",
    RANGE: "`rows`, any numbers -> `<input>_low` and `<input>_high`, the coefficients' range in training, a row each.",
}


def _page(facts: Mapping[str, Any]) -> str:
    lines = [f"# {facts['model']}", "", "Physical units in and out. B rows, Q points; any of both.", ""]
    for name, signature in facts["signatures"].items():
        check_one_of(_OWNER, "signature", name, list(_PURPOSE))
        lines += [f"## {name}", "", _PURPOSE[name], "", "| input | type | shape |", "|---|---|---|"]
        for key, (dtype, shape) in signature["inputs"].items():
            text = ", ".join("any" if size is None else str(size) for size in shape)
            lines.append(f"| `{key}` | {dtype} | ({text}) |")
        lines.append("")
    for name, (low, high) in facts["coefficient_ranges"].items():
        rows = [f"[{a:g}, {b:g}]" for a, b in zip(low, high, strict=True)]
        lines.append(f"`{name}` lay in {', '.join(rows)} in training; outside of it an answer is a guess.")
    return "\n".join(lines) + "\n"
