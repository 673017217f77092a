"""The same job in plain polars, one process, the whole log in memory; records by the package's own writer."""

from pathlib import Path

import numpy as np
import polars as pl
import tensorflow as tf
from measured import measured, task

from benchmarks.preprocess.click_log import BUCKETS, MAX_LENGTH, PROBLEM, SCALED, SEQUENCES, VALUES
from tfmtl.preprocessing.writing.example_writer import (
    float_column,
    int_column,
    join_columns,
    list_column,
    pack_ints,
)
from tfmtl.preprocessing.writing.sequences import event_windows

SHARDS, SLICE = 8, 8192
given = task()


def encode(log: pl.DataFrame, train: pl.DataFrame) -> pl.DataFrame:
    """Ids and scaled numbers beside the raw columns."""
    for name in ("user", *VALUES):
        least = 1 if name == "user" else 2
        known = train[name].drop_nulls().value_counts(sort=True).filter(pl.col("count") >= least)
        ids = known.select(name, pl.int_range(2, pl.len() + 2, dtype=pl.Int32).alias(f"{name}_id"))
        log = log.join(ids, on=name, how="left", maintain_order="left").with_columns(
            pl.when(pl.col(name).is_null()).then(0).otherwise(pl.col(f"{name}_id").fill_null(1)).alias(f"{name}_id")
        )
    for name, buckets in BUCKETS.items():
        cuts = np.unique(np.quantile(train[name].drop_nulls().to_numpy(), np.arange(1, buckets) / buckets))
        ids = np.searchsorted(cuts, log[name].fill_null(float("nan")).to_numpy(), side="right") + 2
        ids = np.where(log[name].is_null().to_numpy(), 0, ids).astype(np.int32)
        log = log.with_columns(pl.Series(f"{name}_id", ids))
    for name, transform in SCALED.items():
        value = pl.col(name).sign() * pl.col(name).abs().log1p() if transform == "log_z_score" else pl.col(name)
        fitted = train.select(value.mean().alias("mean"), value.std().alias("deviation"))
        scaled = ((value - fitted["mean"][0]) / fitted["deviation"][0]).clip(-10, 10).fill_null(0.0)
        log = log.with_columns(scaled.cast(pl.Float32).alias(f"{name}_scaled"))
    return log


def run() -> int:
    log = pl.read_parquet(given["files"])
    cuts = [log["ts"].quantile(share) for share in (0.8, 0.9)]
    log = encode(log, log.filter(pl.col("ts") < cuts[0])).sort("user", "ts", maintain_order=True)
    times = log["ts"].to_numpy()
    users = log["user"].rle_id().to_numpy()
    column = {name: log[name].to_numpy() for name in log.columns if name.endswith(("_id", "_scaled"))}
    labels = {task.name: log[task.name].cast(pl.Float32).fill_null(float("nan")).to_numpy() for task in PROBLEM.tasks}
    windows, events = {}, {}
    for name, when in SEQUENCES.items():
        is_event = (column["item_id"] != 0) & (labels["click"] == 1 if when else True)
        windows[name] = event_windows(users, times, is_event, np.arange(len(times)), MAX_LENGTH)
        for of in ("item", "category"):
            events[f"{name}__{of}"] = pack_ints(column[f"{of}_id"][windows[name].rows])

    def records(rows: np.ndarray) -> list[bytes]:
        parts = [int_column(name, column[f"{name}_id"][rows]) for name in ("user", *VALUES, *BUCKETS)]
        parts += [float_column(name, column[f"{name}_scaled"][rows]) for name in SCALED]
        for name, window in windows.items():
            starts, stops = window.starts[rows], window.stops[rows]
            parts += [
                list_column(f"{name}__{of}", events[f"{name}__{of}"], starts, stops) for of in ("item", "category")
            ]
            lengths = stops - starts
            ends = np.cumsum(lengths)
            at = np.arange(lengths.sum()) + np.repeat(starts - ends + lengths, lengths)
            gaps = np.repeat(times[rows], lengths) - times[window.rows][at]
            ids = np.minimum(np.frexp(gaps.astype(np.float64))[1], 23) + 2
            parts.append(list_column(f"{name}__gap", pack_ints(ids), ends - lengths, ends))
        parts += [float_column(f"label:{name}", values[rows]) for name, values in labels.items()]
        return join_columns(parts).to_pylist()

    order = np.random.default_rng(0).permutation(len(times))
    split = np.searchsorted(cuts, times[order], side="right")
    for index, name in enumerate(("train", "valid", "test")):
        (Path(given["output"]) / name).mkdir(parents=True)
        for shard, rows in enumerate(np.array_split(order[split == index], SHARDS)):
            with tf.io.TFRecordWriter(f"{given['output']}/{name}/part-{shard:05d}.tfrecord") as writer:
                for start in range(0, len(rows), SLICE):
                    for record in records(rows[start : start + SLICE]):
                        writer.write(record)
    return len(times)


measured(run)
