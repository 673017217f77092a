"""The part of the job that tensorflow-transform can do: vocabularies, buckets and z-scores; no sequences, no split."""

import tempfile

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.options.pipeline_options import PipelineOptions
from measured import measured, task
from tensorflow_transform.tf_metadata import schema_utils
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder
from tfx_bsl.tfxio.tensor_adapter import TensorAdapterConfig
from tfx_bsl.tfxio.tensor_representation_util import InferTensorRepresentationsFromSchema

given = task()
TEXTS, BUCKETS, SCALED, LABELS = given["texts"], given["buckets"], given["scaled"], given["labels"]
NUMBERS = [*BUCKETS, *SCALED, *LABELS]


def columns(table: pa.Table) -> pa.RecordBatch:
    """A batch as tensorflow-transform takes it: every value a list of one."""
    arrays = {}
    for name in [*TEXTS, *NUMBERS]:
        values = table[name].combine_chunks()
        values = values.cast(pa.binary()) if name in TEXTS else pc.fill_null(values.cast(pa.float32()), 0.0)
        arrays[name] = pa.ListArray.from_arrays(pa.array(range(len(values) + 1), pa.int32()), values)
    return pa.RecordBatch.from_pydict(arrays)


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The fitted part of `benchmarks.preprocess.click_log.PROBLEM`."""
    outputs = {label: inputs[label] for label in LABELS}
    for name in TEXTS:
        least = None if name == "user" else 2
        outputs[name] = tft.compute_and_apply_vocabulary(inputs[name], frequency_threshold=least, num_oov_buckets=1)
    for name, buckets in BUCKETS.items():
        outputs[name] = tft.bucketize(inputs[name], buckets)
    for name, transform in SCALED.items():
        values = inputs[name]
        if transform == "log_z_score":
            values = tf.sign(values) * tf.math.log1p(tf.abs(values))
        outputs[name] = tft.scale_to_z_score(values)
    return outputs


def run() -> int:
    spec = {name: tf.io.FixedLenFeature((), tf.string) for name in TEXTS}
    spec |= {name: tf.io.FixedLenFeature((), tf.float32) for name in NUMBERS}
    schema = schema_utils.schema_from_feature_spec(spec)
    arrow = pa.schema(
        [(name, pa.list_(pa.binary())) for name in TEXTS] + [(name, pa.list_(pa.float32())) for name in NUMBERS]
    )
    representations = InferTensorRepresentationsFromSchema(schema)
    config = TensorAdapterConfig(arrow, representations)
    options = PipelineOptions(["--runner=FnApiRunner", *given["options"]])
    with beam.Pipeline(options=options) as pipeline, tft_beam.Context(temp_dir=tempfile.mkdtemp()):
        raw = (
            pipeline
            | beam.Create(given["files"])
            | beam.io.parquetio.ReadAllFromParquetBatched(columns=[*TEXTS, *NUMBERS])
            | beam.Map(columns)
        )
        (transformed, output), _ = (raw, config) | tft_beam.AnalyzeAndTransformDataset(
            preprocessing_fn, output_record_batches=True
        )

        def encode(element: tuple[pa.RecordBatch, object], metadata: object) -> list[bytes]:
            return RecordBatchToExamplesEncoder(metadata.schema).encode(element[0])

        _ = (
            transformed
            | beam.FlatMap(encode, beam.pvalue.AsSingleton(output.deferred_metadata))
            | beam.io.WriteToTFRecord(given["output"] + "/part", num_shards=8)
        )
    return int(given["rows"])


measured(run)
