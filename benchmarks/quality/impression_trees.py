"""Boosted trees on the counts of `news_impressions`, beside which its networks stand.

    python -m benchmarks.quality.impression_trees <folder of tfmtl run>/raw/log.parquet

The same split as the problem file's: trained before 13 November, tested from 14 November on. Columns: what earlier
lists say of the article, length of the list and of the history, and whether the article is in the history. For each of
seeds 0 to 4 one `HistGradientBoostingClassifier` as it comes; prints mean and deviation.
"""

import argparse

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as parquet
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score

from tfmtl.metrics import grouped_auc
from tfmtl.pipelines.datasets.news_impressions import NEWS_IMPRESSIONS

_COUNTS = ("shown_before", "clicked_before", "click_rate_before", "hours_since_shown", "list_length")
_SEEDS = range(5)


def main() -> None:
    """Trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", help="log.parquet of the data set")
    rows = parquet.read_table(parser.parse_args().log)
    split = NEWS_IMPRESSIONS.problem.split
    times, clicks = rows["time"].to_numpy(), rows["click"].to_numpy()
    histories = rows["history"].combine_chunks()
    lengths = pc.list_value_length(histories).to_numpy()
    read = np.repeat(rows["news_id"].to_numpy(), lengths) == pc.list_flatten(histories).to_numpy(zero_copy_only=False)
    matches = np.bincount(np.repeat(np.arange(len(lengths)), lengths), read, len(lengths))
    columns = np.stack([*(rows[name].to_numpy() for name in _COUNTS), lengths, matches], axis=1)
    train, test = times < split.valid_from, times >= split.test_from
    groups = rows["impression_id"].to_numpy()[test]
    found = []
    for seed in _SEEDS:
        model = HistGradientBoostingClassifier(random_state=seed).fit(columns[train], clicks[train])
        scores = model.predict_proba(columns[test])[:, 1]
        within = grouped_auc(clicks[test].astype(float), scores, groups)
        found.append((roc_auc_score(clicks[test], scores), within.value, within.macro, log_loss(clicks[test], scores)))
    constant = np.full(int(test.sum()), clicks[train].mean())
    print(
        f"{train.sum():,} training and {test.sum():,} test rows; "
        f"constant log loss {log_loss(clicks[test], constant):.4f}"
    )
    for name, values in zip(("AUC", "GAUC", "GAUC, lists alike", "log loss"), zip(*found, strict=True), strict=True):
        print(f"{name}: {np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}")


if __name__ == "__main__":
    main()
