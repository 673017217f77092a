"""Read the output folder of preprocessing."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfmtl.data.example_spec import are_packed, parse_encoded_examples
from tfmtl.data.folder_files import check_files, damage_named
from tfmtl.data.raw_transform import RawTransform
from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.display import Displayed, Page
from tfmtl.display.manifest_page import manifest_page
from tfmtl.folders import DataError, PreparedFolder, TrainedRun
from tfmtl.folders.folder_format import WRITER
from tfmtl.schema import SPLITS, ModelInputs, Problem
from tfmtl.schema.checks import check_one_of, check_positive_int

_SHUFFLE_BUFFER = 65_536  # records; they are small strings until they are parsed
_PARALLEL_FILES = 4
_MANY_EPOCHS = 2**31 - 1
# Of the manifest, no facts about the data: the last are of its files.
_NO_FACTS = ("inputs", "transform_from", WRITER, "checksums")


class PreparedData(Displayed, PreparedFolder):
    """TFRecords, manifest and fitted transformation of one preprocessing run.

    Args:
        directory: str or Path. The output folder of `tfmtl preprocess`.

    Raises:
        DataError: the folder is not complete, or a file of it is cut off or damaged; records are checked as they are
            read.
        FolderError: a later version of the package wrote the folder.
    """

    def __init__(self, directory: str | Path) -> None:
        super().__init__(directory)
        self.manifest: dict[str, Any] = self.read_manifest()
        self.problem = Problem.load(self.fitted.problem)
        if self.problem.fingerprint != self.manifest["fingerprint"]:
            raise DataError(
                f"PreparedData: '{self.directory}' was written for another problem than its "
                f"{self.fitted.problem.name} says. Run the preprocessing again."
            )
        check_files(self.directory, self.manifest)

    def damage_named(self) -> AbstractContextManager[None]:
        """Turns TensorFlow's error at a damaged record inside the block into a `DataError` that names the file."""
        return damage_named(self.directory, self.manifest)

    @cached_property
    def statistics(self) -> TransformStatistics:
        """The fitted facts of the transformation."""
        return TransformStatistics.load(self.fitted.directory)

    @cached_property
    def inputs(self) -> ModelInputs:
        """The `ModelInputs` of the data."""
        return self.statistics.model_inputs(self.problem)

    def check_fitted_for(self, owner: str, inputs: ModelInputs) -> None:
        """Raises `ValueError` unless a model with these `inputs` was trained on data with this very transformation.

        Data fitted anew has other ids for the same values: the model would answer, and wrongly. Another day's log
        preprocessed with the transformation taken over (`transform_from`) fits; which rows are in which split, and
        which are examples, makes no difference.

        Args:
            owner: str. The caller's name, the first word of an error.
            inputs: `ModelInputs` of the model.
        """
        same_rows = replace(inputs, problem=self.problem)
        if same_rows != self.inputs or self.problem.differing_parts(inputs.problem):
            raise ValueError(
                f"{owner}: `data` must be what the model was trained on. Received: data='{self.directory}' with other "
                f"tables or another problem. Give the folder named in {TrainedRun.RECORD}."
            )

    def check_extends(self, owner: str, inputs: ModelInputs) -> None:
        """Raises `ValueError` unless every id of a model with these `inputs` means the same in this data.

        That is so where the data has the model's transformation, or one that extends it (`extend_vocabularies`),
        however often.

        Args:
            owner: str. The caller's name, the first word of an error.
            inputs: `ModelInputs` of the model.
        """
        differing = self.problem.differing_parts(inputs.problem)
        if inputs.digest not in (*self.statistics.extends, self.statistics.digest):
            differing = [*differing, "vocabularies or statistics that were fitted anew"]
        if differing:
            raise ValueError(
                f"{owner}: `data` must have the transformation of the model's own data, as it is or extended. "
                f"Received: data='{self.directory}', which differs in {', '.join(differing)}. Preprocess it with "
                "--transform-from and that data's folder."
            )

    def transform(self) -> RawTransform:
        """The transformation from raw features, for serving."""
        return RawTransform(self.problem, self.fitted.directory)

    def num_examples(self, split: str) -> int:
        """Examples of a split."""
        return int(self.manifest["splits"][split]["examples"])

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that change with the examples' files or anything fitted, not with where they lie."""
        facts = {name: value for name, value in self.manifest.items() if name not in _NO_FACTS}
        text = json.dumps([facts, self.statistics.digest], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def rejected(self) -> list[dict[str, Any]]:
        """The rows that could not be used, as `{"file", "row", "reason", "values"}`; rows count from 0.

        `pandas.DataFrame(data.rejected())` shows them as a table.
        """
        lines = (line for path in self.rejected_files() for line in path.read_text(encoding="utf-8").splitlines())
        return [json.loads(line) for line in lines]

    def page(self) -> Page:
        """What was counted, for a notebook or a terminal."""
        return manifest_page(self.manifest, f"Prepared data of {self.problem.name} in {self.directory}")

    def num_labels(self, split: str, task: str) -> int:
        """Labels of a task in a split."""
        return int(self.manifest["splits"][split]["tasks"][task]["labels"])

    def has_both_classes(self, split: str, task: str) -> bool:
        """Whether a binary task has positive and negative labels in a split, and so an AUC."""
        mean = self.manifest["splits"][split]["tasks"][task]["mean"]
        return mean is not None and 0.0 < mean < 1.0

    # === Batches ===

    def train(self, batch_size: int, seed: int = 0) -> tf.data.Dataset:
        """Shuffled `(features, labels)` of the training split; every epoch another order.

        The order follows from `seed` and TensorFlow's global seed (`keras.utils.set_random_seed`), if that is set.
        """
        return self._read("train", batch_size, seed).map(lambda features, labels, _: (features, labels))

    def valid(self, batch_size: int) -> tf.data.Dataset:
        """`(features, labels)` of the validation split, in the order of the files."""
        return self.split("valid", batch_size).map(lambda features, labels, _: (features, labels))

    def test(self, batch_size: int) -> tf.data.Dataset:
        """`(features, labels)` of the test split, in the order of the files."""
        return self.split("test", batch_size).map(lambda features, labels, _: (features, labels))

    def split(self, name: str, batch_size: int) -> tf.data.Dataset:
        """`(features, labels, groups)` of a split, in the order of the files.

        Features are as `encoded_signature` says. Labels are float32 `(B,)` a
        task, NaN where missing: tfmtl's models mask them. Groups are strings
        `(B,)`, the groups of the grouped AUC.
        """
        return self._read(name, batch_size, None)

    def train_epochs(self, batch_size: int, seed: int = 0, epoch: int = 0, step: int = 0) -> tf.data.Dataset:
        """`(features, labels)` of one epoch of the training split after the other, without an end.

        The order inside an epoch follows from `seed` and the epoch's number alone, whatever the program's own seed:
        a run that starts at `step` of `epoch` meets the batches that one from the very start meets there. The
        examples before it are read but not parsed.

        Args:
            batch_size: int. Examples per batch; the last batch of an epoch may be smaller.
            seed: int. Defaults to `0`.
            epoch: int. First epoch, counted from 0. Defaults to `0`.
            step: int. Number of batches of the first epoch to skip, for a run that resumes. Defaults to `0`.
        """
        self._check("train", batch_size)
        first = epoch

        @tf.autograph.experimental.do_not_convert  # which would take a tenth of a second
        def batches(epoch: tf.Tensor) -> tf.data.Dataset:
            tf.random.set_seed(1)  # of this function's graph alone: shuffle() would mix in the program's seed
            drawn = tf.random.stateless_uniform([2], tf.stack([seed, epoch]), None, None, tf.int32)
            seeds = tf.unstack(tf.cast(drawn, tf.int64))
            skipped = tf.where(epoch == first, tf.constant(step * batch_size, tf.int64), 0)
            return self._records("train", seeds, same_every_time=True).skip(skipped).batch(batch_size)

        epochs = tf.data.Dataset.range(epoch, _MANY_EPOCHS).flat_map(batches)
        return self._parsed(epochs).map(lambda features, labels, _: (features, labels))

    def _read(self, split: str, batch_size: int, seed: int | None) -> tf.data.Dataset:
        self._check(split, batch_size)
        records = self._records(split, None if seed is None else [seed, seed + 1])
        examples = self._parsed(records.batch(batch_size))
        # A progress bar needs an end.
        return examples.apply(tf.data.experimental.assert_cardinality(-(-self._num_records(split) // batch_size)))

    def _check(self, split: str, batch_size: int) -> None:
        check_one_of("PreparedData", "split", split, SPLITS)
        check_positive_int("PreparedData", "batch_size", batch_size)

    def _names(self, split: str) -> list[str]:
        return [name for name in self.manifest["files"] if name.startswith(f"{split}/")]

    def _num_records(self, split: str) -> int:
        return sum(self.manifest["files"][name]["records"] for name in self._names(split))

    def _records(self, split: str, seeds: Sequence[Any] | None, same_every_time: bool = False) -> tf.data.Dataset:
        """Serialized examples of a split; shuffled by two seeds, of the files and of the records, if given."""
        names = self._names(split)
        compression = "GZIP" if names and names[0].endswith(".gz") else ""
        files = tf.data.Dataset.from_tensor_slices([str(self.directory / name) for name in names])
        if seeds is not None:
            files = files.shuffle(len(names), seeds[0], reshuffle_each_iteration=not same_every_time)
        records = files.interleave(
            lambda file: tf.data.TFRecordDataset(file, compression_type=compression),
            cycle_length=_PARALLEL_FILES,
            block_length=64,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        if seeds is not None:
            records = records.shuffle(_SHUFFLE_BUFFER, seeds[1], reshuffle_each_iteration=not same_every_time)
        return records

    def _parsed(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """`(features, labels, groups)`. One parse of a whole batch is an order of magnitude cheaper than of each."""
        examples = batches.map(self._parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        options = tf.data.Options()
        # Its thread may miss that the data have ended, and an epoch then takes up to a minute longer.
        options.autotune.enabled = False
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        examples = examples.with_options(options).prefetch(tf.data.AUTOTUNE)
        examples.prepared_data = self  # a temporary folder stays as long as something reads it
        return examples

    @cached_property
    def _parse(self) -> Callable[[tf.Tensor], Any]:
        """`parse_encoded_examples` of this data, traced once for all that read it."""
        problem, is_packed = self.problem, are_packed(request["record"] for request in self.requests())
        parse: Callable[[tf.Tensor], Any] = tf.function(
            lambda batch: parse_encoded_examples(problem, batch, is_packed),
            input_signature=[tf.TensorSpec((None,), tf.string)],
            autograph=False,
        )
        return parse
