"""Data sets with texts and series that users bring themselves, from hand-made lines in their files' formats."""

import gzip
from typing import Any

import pyarrow as pa
import pytest

from tfmtl.pipelines.datasets import DATASETS


def _rows(name: str, file: str, *lines: str) -> list[dict[str, Any]]:
    content = gzip.compress("".join(f"{line}\n" for line in lines).encode())
    return list(DATASETS[name].to_rows({file: content}).to_pylist())


_ENTRIES = "time,event,list,entered,name,description,section,host,auth,https,cors,list_size,section_size"


def test_entries_have_a_lifetime_and_the_year_but_not_the_day_of_their_end() -> None:
    [row] = _rows(
        "listing_lifetimes",
        "entries.csv.gz",
        _ENTRIES,
        '12.5,1,awesome-go,2015-07-06,kit,"A ""kit"", for Go.",Web,github.com,,,,152,2',
    )
    assert row == {
        "time": 12.5, "event": 1, "list": "awesome-go", "name": "kit", "description": 'A "kit", for Go.',
        "section": "Web", "host": "github.com", "auth": "", "https": "", "cors": "", "list_size": 152.0,
        "section_size": 2.0, "year": pytest.approx(2015 + 7 / 12),
    }  # fmt: skip


_PACKAGES = "week,test_id,headline,excerpt,lede,eyecatcher_id,impressions,clicks,significance,winner,first_place"


def test_a_package_is_a_row_with_a_click_and_one_without() -> None:
    lines = (
        "201301,a,One,,,e1,1000,20,100,true,true",
        "201446,a,Two,,,e2,900,0,0,false,false",  # its test began in an earlier week
        "201446,b,Three,x,y,e3,800,8,0,false,false",
        "201441,c,Four,x,y,e3,5,5,0,false,false",
    )
    rows = _rows("upworthy_headlines", "packages.csv.gz", _PACKAGES, *lines)
    assert [(row["headline"], row["click"], row["count"], row["part"]) for row in rows] == [
        ("One", 1, 20, "train"),
        ("One", 0, 980, "train"),
        ("Two", 0, 900, "train"),
        ("Three", 1, 8, "test"),
        ("Three", 0, 792, "test"),
        ("Four", 1, 5, "valid"),
    ]
    assert not {"significance", "winner", "first_place", "week"} & set(rows[0])
    with pytest.raises(ValueError, match="Received: 9 clicks of 8 views"):
        _rows("upworthy_headlines", "packages.csv.gz", _PACKAGES, "201301,a,One,,,e1,8,9,1,true,true")


_ADS = (
    "time,event,created,text,url,age,gender,location,placements,people_who_match,interests,impressions,clicks,spend,"
    "spend_currency,image_file"
)


def test_ads_are_weighted_by_clicks_of_impressions_which_are_no_feature() -> None:
    rows = _rows(
        "ira_ads",
        "ads.csv.gz",
        _ADS,
        "1.5,1,2015-06-09 10:48:26+00:00,Hello,u,age:18 - 65+,,,p|q,,a|b,200,30,1.0,USD,i.png",
        "2.0,1,2015-06-10 00:00:00+00:00,,u,,,,,,,0,0,0.0,USD,i.png",
    )
    assert [row["ctr"] for row in rows] == [pytest.approx(0.15), 0.0]
    assert (rows[0]["hour"], rows[0]["weekday"], rows[0]["interests"]) == (10, 1, "a|b")
    assert rows[1]["started"] - rows[0]["started"] == pytest.approx(1.0 - (10 * 3600 + 48 * 60 + 26) / 86400.0)
    problem = DATASETS["ira_ads"].problem
    read = {column for feature in problem.features for column in feature.columns}
    assert not read & {"ctr", "impressions", "clicks", "spend", "time"}
    assert problem.tasks[0].weight_column == "ctr"


_RUNS = "time,event,entered,title,artist,entry_rank,artist_songs_before,weeks_since_artist_last_entry,featured,history"


def test_songs_are_cut_at_one_age() -> None:
    lines = (
        "17,1,1958-08-11,Old,A,42,0,,0,42|27|23|29|28",  # before the method changed
        "4,1,1992-01-04,Short,B,42,0,,0,42|27|23|29",  # does not live longer than the landmark
        "9,1,1992-01-04,Long,C,42,3,7.0,1,42|0|23|29|28|10|8|7",
    )
    [row] = _rows("chart_runs", "runs.csv.gz", _RUNS, *lines)
    assert (row["title"], row["weeks_left"], row["month"], row["year"]) == ("Long", 5.0, "01", 1992)
    assert row["ranks"][0] == 42.0
    assert row["ranks"][1] != row["ranks"][1], "absent: no rank"
    assert row["ranks"][2:] == [23.0, 29.0]
    with pytest.raises(ValueError, match=r"must have as many ranks\. Received: history='1\|2'"):
        _rows("chart_runs", "runs.csv.gz", _RUNS, "9,1,1992-01-04,Long,C,42,3,7.0,1,1|2")


@pytest.mark.parametrize("name", ["listing_lifetimes", "upworthy_headlines", "ira_ads", "chart_runs"])
def test_the_problem_reads_what_the_adapter_writes(name: str) -> None:
    lines = {
        "listing_lifetimes": ("entries.csv.gz", _ENTRIES),
        "upworthy_headlines": ("packages.csv.gz", _PACKAGES),
        "ira_ads": ("ads.csv.gz", _ADS),
        "chart_runs": ("runs.csv.gz", _RUNS),
    }
    file, header = lines[name]
    table: pa.Table = DATASETS[name].to_rows({file: gzip.compress(f"{header}\n".encode())})
    problem = DATASETS[name].problem
    wanted = {column for feature in problem.features for column in feature.columns}
    wanted |= {column for task in problem.tasks for column in task.label_columns}
    assert wanted <= set(table.column_names)
