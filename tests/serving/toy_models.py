"""Small exports whose answers can be worked out by hand."""

import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf

# A batch for `ToyRanker`'s serving_default, in the dtypes it is exported with.
FEATURES = {
    "country": np.array([b"se", b"no", "ö".encode()], object),
    "age": np.array([31.5, 0.1, -2.0], np.float32),
    "item": np.array([7, 8, 9_000_000_000], np.int64),
    "tags": np.array([[b"a", b"b"], [b"a", b""], [b"", b""]], object),
}


class ToyRanker(tf.Module):
    """Four inputs of three dtypes, two outputs; `offset` tells one version's answers from another's."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = tf.Variable(offset)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="country"),
            tf.TensorSpec([None], tf.float32, name="age"),
            tf.TensorSpec([None], tf.int64, name="item"),
            tf.TensorSpec([None, None], tf.string, name="tags"),
        ]
    )
    def serving_default(self, country, age, item, tags):
        num_tags = tf.reduce_sum(tf.cast(tf.strings.length(tags) > 0, tf.float32), axis=1)
        letters = tf.cast(tf.strings.length(country), tf.float32)
        return {
            "click": age / 3.0 + num_tags + letters + self.offset,
            "watch": tf.stack([item, item + tf.cast(self.offset, tf.int64)], axis=1),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def lone(self, x):
        return {"y": x * 0.1 + self.offset}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="payload")])
    def echo(self, payload):
        return {"text": payload, "text_bytes": payload}

    @tf.function(
        input_signature=[tf.TensorSpec([1], tf.float32, name="user"), tf.TensorSpec([None], tf.float32, name="item")]
    )
    def rank(self, user, item):
        return {"score": user * item, "total": tf.reduce_sum(item)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="index")])
    def pick(self, index):
        return {"picked": tf.gather(tf.constant([10.0, 20.0]), index)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def half(self, x):
        return {"z": tf.cast(x, tf.bfloat16)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def pair(self, x):
        return {"low": x - 1.0, "high": x + 1.0}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs):
        """Of an example's feature `x`: is it above zero?"""
        x = self.parse(inputs)
        return {
            "classes": tf.tile([["no", "yes"]], [tf.size(x), 1]),
            "scores": tf.stack([1.0 - tf.sigmoid(x), tf.sigmoid(x)], axis=1),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs):
        return {"outputs": self.parse(inputs) * 2.0 + self.offset}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def flat(self, inputs):
        return {"scores": self.parse(inputs)}

    def parse(self, inputs):
        return tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature((), tf.float32)})["x"]


SIGNATURES = ("serving_default", "lone", "echo", "rank", "pick", "half", "pair", "classify", "regress", "flat")


def example(x: float) -> bytes:
    """A serialized example for `classify` and `regress`."""
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[x]))
    return tf.train.Example(features=tf.train.Features(feature={"x": feature})).SerializeToString()


def export(base_dir: Path, version: int, offset: float = 0.0, **aliases: str) -> Path:
    """Writes one version as exporters should: under another name, then renamed into place.

    `aliases` adds signatures: `alias="lone"` exports `lone` under a second name.
    """
    module = ToyRanker(offset)
    unfinished = base_dir / f"unfinished-{version}"
    methods = {**{name: name for name in SIGNATURES}, **aliases}
    signatures = {name: getattr(module, method).get_concrete_function() for name, method in methods.items()}
    tf.saved_model.save(module, str(unfinished), signatures=signatures)
    return unfinished.rename(base_dir / str(version))


def break_version(source: Path, base_dir: Path, version: int) -> Path:
    """Puts a version into place whose graph is garbage."""
    unfinished = base_dir / f"unfinished-{version}"
    shutil.copytree(source, unfinished)
    (unfinished / "saved_model.pb").write_bytes(b"\xff\xfenot a graph")
    return unfinished.rename(base_dir / str(version))


def call_directly(directory: Path, signature_name: str, features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Calls a signature of an export with no server between."""
    saved_model = tf.saved_model.load(str(directory))
    outputs = saved_model.signatures[signature_name](**{k: tf.constant(v) for k, v in features.items()})
    return {name: tensor.numpy() for name, tensor in outputs.items()}
