"""A small export with every kind of raw feature: text, lists of text, numbers, times and sequences of events."""

from pathlib import Path

import numpy as np
import tensorflow as tf

_ITEMS = ("i1", "i2", "i3", "i7")
_STRING, _FLOAT, _INT = tf.string, tf.float32, tf.int64


def _specs(**inputs):
    return [tf.TensorSpec(shape, dtype, name=name) for name, (dtype, shape) in inputs.items()]


class ShopRanker(tf.Module):
    """Looks items up in a vocabulary file, sums over histories by age, and has a user-and-candidates signature."""

    def __init__(self, vocabulary: Path) -> None:
        super().__init__()
        self.vocabulary = tf.saved_model.Asset(str(vocabulary))
        initializer = tf.lookup.TextFileInitializer(
            self.vocabulary,
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        self.table = tf.lookup.StaticHashTable(initializer, -1)
        self.weights = tf.Variable(np.linspace(-1.0, 1.0, 6, dtype=np.float32))

    def _embed(self, text):
        return tf.gather(self.weights, self.table.lookup(text) + 1)

    def _history(self, items, times, now):
        with tf.control_dependencies([tf.debugging.assert_equal(tf.shape(items), tf.shape(times))]):
            age = tf.maximum(tf.cast(now[:, None] - times, tf.float32), 0.0)
        is_event = tf.cast(tf.strings.length(items) > 0, tf.float32)
        return tf.reduce_sum(is_event * self._embed(items) / (1.0 + age), axis=1)

    @tf.function(
        input_signature=_specs(
            item_id=(_STRING, [None]),
            tags=(_STRING, [None, None]),
            price=(_FLOAT, [None]),
            timestamp=(_INT, [None]),
            viewed__item_id=(_STRING, [None, None]),
            viewed__time=(_INT, [None, None]),
        )
    )
    def serving_default(self, item_id, tags, price, timestamp, viewed__item_id, viewed__time):
        score = self._embed(item_id) + tf.reduce_sum(self._embed(tags), axis=1)
        score += self._history(viewed__item_id, viewed__time, timestamp)
        return {"click": tf.sigmoid(score), "buy": tf.sigmoid(score - 1.0), "spent": score * price}

    @tf.function(
        input_signature=_specs(
            viewed__item_id=(_STRING, [1, None]),
            viewed__time=(_INT, [1, None]),
            timestamp=(_INT, [1]),
            item_id=(_STRING, [None]),
            price=(_FLOAT, [None]),
        )
    )
    def rank(self, viewed__item_id, viewed__time, timestamp, item_id, price):
        score = self._history(viewed__item_id, viewed__time, timestamp) + self._embed(item_id)
        return {"click": tf.sigmoid(score), "spent": score * price}

    @tf.function(input_signature=_specs(payload=(_STRING, [None])))
    def echo(self, payload):
        return {"text_bytes": payload}

    @tf.function(input_signature=_specs(rounds=(_INT, [None])))
    def spin(self, rounds):
        """Takes some seconds for a million rounds."""
        most = tf.reduce_max(rounds)
        (count,) = tf.while_loop(lambda count: count < most, lambda count: [count + 1], [tf.constant(0, _INT)])
        return {"rounds": rounds + 0 * count}


def export_shop(base_dir: Path, version: int) -> Path:
    """Writes one version under another name and renames it into place."""
    vocabulary = base_dir / "vocabulary.txt"
    vocabulary.write_text("".join(f"{item}\n" for item in _ITEMS))
    module = ShopRanker(vocabulary)
    unfinished = base_dir / f"unfinished-{version}"
    names = ("serving_default", "rank", "echo", "spin")
    signatures = {name: getattr(module, name).get_concrete_function() for name in names}
    tf.saved_model.save(module, str(unfinished), signatures=signatures)
    return unfinished.rename(base_dir / str(version))


def shop_request(rng, signature_name: str = "serving_default") -> dict[str, np.ndarray]:
    """Random features that fit a signature, as a client has them.

    Args:
        rng: random.Random.
        signature_name: str. Defaults to `"serving_default"`.
    """
    rows, length, tags = rng.randint(1, 4), rng.randint(0, 3), rng.randint(0, 2)
    users = 1 if signature_name == "rank" else rows

    def text(*shape):
        pool = [*_ITEMS, "", "ö", "never seen", "\x00", "i1 "]
        values = np.empty(int(np.prod(shape)), object)
        values[:] = [rng.choice(pool).encode() for _ in values]
        return values.reshape(shape)

    def time(*shape):
        return np.array([rng.randint(0, 2**40) for _ in range(int(np.prod(shape)))], np.int64).reshape(shape)

    if signature_name == "echo":
        return {"payload": text(rows)}
    features = {
        "item_id": text(rows),
        "price": np.array([rng.choice([0.0, -1.5, rng.random(), 3e38]) for _ in range(rows)], np.float32),
        "timestamp": time(users),
        "viewed__item_id": text(users, length),
        "viewed__time": time(users, length),
    }
    return features if signature_name == "rank" else {**features, "tags": text(rows, tags)}
