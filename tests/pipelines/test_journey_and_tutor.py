"""Trips, product lines and tutor steps, from hand-made lines in their files' formats."""

import gzip
from typing import Any

import numpy as np
import pytest

from tfmtl.pipelines.datasets import DATASETS
from tfmtl.pipelines.datasets.complete_journey import before
from tfmtl.pipelines.datasets.source import FetchError


def _rows(name: str, file: str, *lines: str) -> list[dict[str, Any]]:
    table = DATASETS[name].to_rows({file: gzip.compress("\n".join(lines).encode())})
    read = {column for feature in DATASETS[name].problem.features for column in feature.columns}
    assert read <= set(table.column_names)
    return table.to_pylist()


def test_a_trip_knows_the_trips_before_it() -> None:
    rows = _rows(
        "complete_journey",
        "baskets.csv.gz",
        "household_id,basket_id,timestamp,store_id,lines,spend,coupon_disc,days_to_next",
        "7,3,2017-01-03 10:00:00,1,2,30.0,0.0,",
        "7,1,2017-01-01 00:00:05,2,2,10.0,0.5,2.4",
        "7,2,2017-01-01 00:00:05,3,2,20.0,0.0,2.4",
        "8,4,2017-01-02 00:00:00,1,2,5.0,0.0,",
    )
    assert [(row["household_id"], row["store_id"]) for row in rows] == [(7, 2), (7, 3), (8, 1), (7, 1)]
    assert [row["mean_spend"] for row in rows] == [None, None, None, 15.0], (
        "baskets of one second are not before each other"
    )
    assert [row["last_spend"] for row in rows] == [None, None, None, 20.0]
    assert [row["coupon"] for row in rows] == [1, 0, 0, 0]
    assert rows[0]["time"] == 1_483_228_805 and rows[3]["log_spend"] == pytest.approx(np.log1p(30.0))
    problem = DATASETS["complete_journey"].problem
    read = {column for feature in problem.features for column in feature.columns}
    assert read.isdisjoint({"spend", "log_spend", "coupon", "coupon_disc", "lines", "days_to_next"})


def test_lines_without_fuel_and_with_empty_promotions() -> None:
    rows = _rows(
        "complete_journey_lines",
        "lines.csv.gz",
        "household_id,basket_id,timestamp,store_id,product_id,department,category,brand,manufacturer_id,quantity,"
        "sales_value,retail_disc,coupon_disc,coupon_match_disc,display,mailer",
        "83,1,2017-01-01 13:31:53,381,20,GROCERY,SOUP,National,2.0,1,1.0,0.2,0.0,0.0,,A",
        "83,1,2017-01-01 13:31:53,381,30,FUEL,GAS,National,2.0,9000,40.0,0.0,0.0,0.0,,",
        "83,1,2017-01-01 13:31:53,381,10,,,,,1,3.0,0.0,0.0,0.0,0,",
    )
    assert [row["product_id"] for row in rows] == [10, 20]
    assert [row["discount"] for row in rows] == [0, 1] and rows[1]["mailer"] == "A"
    assert rows[1]["log_value"] == pytest.approx(np.log(2.0))
    assert DATASETS["complete_journey_lines"].problem.task("rebuy").late_window.same == "product_id"


def test_a_step_ends_the_session_before_half_an_hour_of_nothing() -> None:
    rows = _rows(
        "tutor_algebra",
        "steps.csv.gz",
        "user_id,item_id,time_s,skill_set,skills,correct,next_gap_s",
        "1,5,100,3,66|7,1,1800",
        "1,6,1900,3,66,0,1801",
        "1,5,3701,3,66,1,",
    )
    assert [row["session_end"] for row in rows] == [0, 1, 1]
    assert rows[0]["log_gap"] == pytest.approx(np.log1p(1800.0)) and rows[1]["log_gap"] is rows[2]["log_gap"] is None
    assert rows[0]["skills"] == "66|7"


def test_means_before_against_plain_python() -> None:
    generator = np.random.default_rng(0)
    users, times = np.sort(generator.integers(0, 4, 60)), generator.integers(0, 9, 60)
    order = np.lexsort((times, users))
    users, times, values = users[order], times[order], generator.random(60)
    means, lasts = before(users, times, values)
    for row in range(60):
        earlier = [n for n in range(60) if users[n] == users[row] and times[n] < times[row]]
        expected = (np.mean(values[earlier]), values[earlier[-1]]) if earlier else (np.nan, np.nan)
        np.testing.assert_allclose((means[row], lasts[row]), expected)


@pytest.mark.parametrize("name", ["complete_journey", "complete_journey_lines", "tutor_algebra"])
def test_nothing_is_downloaded(name: str) -> None:
    with pytest.raises(FetchError, match=r"cannot be downloaded automatically.*--folder"):
        DATASETS[name].fetch()
