"""A kind of feature with a layer that looks rows up, for tests: the first and the last word of a text, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import pyarrow as pa
import tensorflow as tf

from tfmtl.core.types import Tensor
from tfmtl.features import FeatureBehavior
from tfmtl.features.feature_behavior import RawColumns
from tfmtl.features.field_layer import FieldLayer
from tfmtl.schema import EncodedTensor, FeatureRecord, Problem, RequestInput, register_feature
from tfmtl.schema.reserved import RESERVED_IDS

BUCKETS = 11


@dataclass(frozen=True)
class WordsFeature(FeatureRecord):
    kind: ClassVar[str] = "toy_words"

    name: str
    side: str = "context"
    dim: int = 8

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def not_in_events(self) -> str | None:
        return None

    def inputs(self) -> tuple[RequestInput, ...]:
        return (RequestInput(self.name, "string", (), self.side),)

    def tensors(self, problem: Problem) -> tuple[EncodedTensor, ...]:
        rows = BUCKETS + RESERVED_IDS
        ids = EncodedTensor(self.name, "lookup", self.name, (2,), self.name, rows, self.dim, side=self.side)
        length = EncodedTensor(f"{self.name}__length", "own", self.name, dim=self.dim, side=self.side)
        return ids, length


class WordsBehavior(FeatureBehavior):
    def read(self, raw: RawColumns) -> dict[str, pa.Array]:
        return {self.name: raw.text(self.name)}

    def encode(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        text = raw[self.name]
        ends = tf.stack([tf.strings.regex_replace(text, cut, "") for cut in (" .*", ".* ")], axis=-1)
        ids = tf.strings.to_hash_bucket_fast(ends, BUCKETS) + RESERVED_IDS
        return {
            self.name: tf.cast(tf.where(ends == "", tf.zeros_like(ids), ids), tf.int32),
            f"{self.name}__length": tf.cast(tf.strings.length(text), tf.float32),
        }

    @classmethod
    def layer(cls, records: Sequence[Any], dim: int, policy: Any) -> FieldLayer:
        return WordFields(records, dim, dtype=policy, name="words")


class WordFields(FieldLayer):
    """`first * w1 + last * w2 + length * w3` of every text; leaves some words out in training."""

    drop: ClassVar[float] = 0.0

    def __init__(self, records: Sequence[Any], dim: int, **kwargs: Any) -> None:
        super().__init__(records, dim, **kwargs)
        self.seed = keras.random.SeedGenerator(5)
        self.augmented = 0
        self.entered: list[dict[str, Any]] = []

    def build(self, input_shape: Any = None) -> None:
        self.kernel = self.add_weight(name="kernel", shape=(len(self.records), 3, self.dim))
        self.built = True

    def augment(self, features: Mapping[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        if not training or not self.drop:
            return {}
        self.augmented += 1
        kept = {
            r.name: keras.random.uniform(tf.shape(features[r.name]), seed=self.seed) >= self.drop for r in self.records
        }
        return {name: tf.where(keep, features[name], 0) for name, keep in kept.items()}

    def call(
        self,
        rows: Mapping[str, Tensor],
        masks: Mapping[str, Tensor],
        arrays: Mapping[str, Tensor],
        training: bool = False,
    ) -> dict[str, Tensor]:
        self.entered.append({name: values.shape[0] for name, values in {**rows, **arrays}.items()})
        fields = {}
        for number, record in enumerate(self.records):
            if record.name not in rows:
                continue
            length = tf.cast(arrays[f"{record.name}__length"], self.compute_dtype)[:, tf.newaxis]
            first, last, by_length = tf.unstack(tf.cast(self.kernel[number], self.compute_dtype))
            ends = rows[record.name]
            fields[record.name] = ends[:, 0] * first + ends[:, 1] * last + 0.1 * length * by_length
        return fields


register_feature("toy_words", "tests.support.toy_words:WordsFeature", "tests.support.toy_words:WordsBehavior")
