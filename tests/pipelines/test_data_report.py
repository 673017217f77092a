"""The data report from raw rows to the page; its numbers are those of the manifest, and what is planted shows."""

import io
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.command import tfmtl
from tests.support.small_log import SMALL_PROBLEM, write_csv
from tfmtl.data import PreparedData
from tfmtl.pipelines.preprocess.job import preprocess
from tfmtl.report import data_report
from tfmtl.report.figures import days_figure
from tfmtl.schema import BinaryTask, CategoricalFeature, NumericFeature, Problem, RegressionTask, Split

START, DAY = 1_600_000_000, 86_400


def _rows(count: int = 900) -> list[dict[str, Any]]:
    """Rows in order of time over ten days. `drifting` and `kind` change with the last fifth, `leak` is the label."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(count):
        late = index >= 0.8 * count
        click = int(rng.random() < 0.4)
        rows.append(
            {
                "row": f"r{index}",
                "user": f"u{rng.integers(0, 25)}",
                "ts": START + index * 10 * DAY // count,
                "item": f"i{rng.integers(0, 30)}",
                "tags": [f"t{tag}" for tag in rng.integers(0, 5, rng.integers(0, 4)).tolist()],
                "kind": f"k{rng.integers(0, 3) + 2 * late}",
                "steady": f"s{rng.integers(0, 3)}",
                "drifting": round(float(rng.normal(3.0 if late else 0.0)), 4),
                "leak": f"{click}",
                "age": "young" if index in (3, 5, 7, 11) else 18 + int(rng.integers(0, 50)),
                "click": 2 if index == 9 else click,
                "buy": int(click and rng.random() < 0.5),
                "seconds": round(float(rng.exponential(9.0)), 2),
            }
        )
    return rows


PROBLEM = replace(
    SMALL_PROBLEM,
    name="planted_drift",
    features=(
        CategoricalFeature("user", side="user"),
        CategoricalFeature("item", side="item"),
        CategoricalFeature("tags", multi_valued=True, max_values=3),
        CategoricalFeature("kind"),
        CategoricalFeature("steady"),
        CategoricalFeature("leak"),
        NumericFeature("age", buckets=8),
        NumericFeature("drifting", "z_score"),
    ),
    tasks=(
        BinaryTask("click"),
        BinaryTask("buy", parent="click", known_at_event=True),
        RegressionTask("watch", label="seconds"),
    ),
    examples=None,
    split=Split(valid=0.2, test=0.2),
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    folder = tmp_path_factory.mktemp("report")
    log = write_csv(folder / "log.csv", _rows())
    preprocess(PROBLEM, [str(log)], str(folder / "data"), num_shards=2)
    return PreparedData(folder / "data")


@pytest.fixture(scope="module")
def report(prepared: PreparedData) -> tuple[dict[str, Any], str]:
    path = prepared.directory.parent / "page.html"
    return data_report(prepared, path), path.read_text(encoding="utf-8")


SECTIONS = ["rows", "labels", "leaks", "drift", "features", "values", "numbers", "lengths", "rejected"]


def test_every_section_is_there_and_linked(report: tuple[dict[str, Any], str]) -> None:
    _, page = report
    assert re.findall(r'<h2 id="(\w+)"', page) == SECTIONS
    assert re.findall(r'<a href="#(\w+)"', page) == SECTIONS
    for what in ("Examples a day", "Conditional probabilities", "Population stability", "Histograms", "Lengths"):
        assert f'alt="{what}' in page


def test_the_page_needs_no_network(report: tuple[dict[str, Any], str]) -> None:
    _, page = report
    assert re.findall(r'(?:src|href)="(?!data:image/png;base64,|#)', page) == []
    assert "@import" not in page
    assert "<script" not in page


def test_rows_and_rates_are_those_of_the_manifest(prepared: PreparedData, report: tuple[dict[str, Any], str]) -> None:
    _, page = report
    manifest = prepared.manifest
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))
    for split, facts in manifest["splits"].items():
        assert f" {split} {facts['examples']:,} " in text
        for task in ("click", "buy"):
            fact = facts["tasks"][task]
            assert f"{fact['labels']:,} {fact['mean']:.2%}" in text
    assert f"rows in {manifest['rows_in']:,}" in text
    assert f"rejected {sum(manifest['rows_rejected'].values()):,}" in text


def test_days_are_counted_while_preprocessing(prepared: PreparedData) -> None:
    counts: dict[str, int] = {}
    for facts in prepared.manifest["splits"].values():
        assert sum(facts["days"].values()) == facts["examples"]
        for day, count in facts["days"].items():
            counts[day] = counts.get(day, 0) + count
    bad = {3, 5, 7, 9, 11}
    expected: dict[str, int] = {}
    for index, row in enumerate(_rows()):
        if index not in bad:
            day = str(np.datetime64(row["ts"], "s").astype("datetime64[D]"))
            expected[day] = expected.get(day, 0) + 1
    assert counts == expected


def test_planted_drift_shows(report: tuple[dict[str, Any], str]) -> None:
    facts, page = report
    psi = {row["name"]: row["psi"] for row in facts["drift"]}
    chance = {row["name"]: row["chance"] for row in facts["drift"]}
    assert min(psi["drifting"]["test"], psi["kind"]["test"]) > 1.0
    assert psi["steady"]["test"] < 0.1
    assert abs(psi["steady"]["test"] - chance["steady"]["test"]) < 0.05
    assert {row["name"] for row in facts["drift"][:4]} >= {"drifting", "kind"}
    assert f'<td class="n bad">{psi["drifting"]["test"]:.3f}</td>' in page


def test_the_drift_of_a_number_is_that_of_its_raw_values(prepared: PreparedData) -> None:
    """Deciles do not change under scaling, so the raw log gives the same index."""
    facts = data_report(prepared, prepared.directory.parent / "again.html", rows=10_000)
    rows = [row for index, row in enumerate(_rows()) if index not in {3, 5, 7, 9, 11}]
    sizes = [facts["sampled"][split] for split in ("train", "valid", "test")]
    values = np.array([row["drifting"] for row in rows])
    train, test = values[: sizes[0]], values[-sizes[2] :]
    edges = np.quantile(train, np.arange(1, 10) / 10)
    p, q = (np.bincount(np.searchsorted(edges, part, "right"), minlength=10) + 0.5 for part in (train, test))
    p, q = p / p.sum(), q / q.sum()
    [row] = [row for row in facts["drift"] if row["name"] == "drifting"]
    assert row["psi"]["test"] == pytest.approx(np.sum((q - p) * np.log(q / p)), rel=0.05)


def test_a_planted_leak_shows(report: tuple[dict[str, Any], str]) -> None:
    facts, page = report
    assert (facts["leaks"][0]["feature"], facts["leaks"][0]["task"]) == ("leak", "click")
    assert facts["leaks"][0]["auc"] == 1.0
    assert '<td class="n bad">1.0000</td>\n<td>leak?</td>' in page
    assert page.count("leak?") == 1


def test_labels_together(report: tuple[dict[str, Any], str]) -> None:
    facts, _ = report
    shares = facts["cooccurrence"]["shares"]
    assert facts["cooccurrence"]["tasks"] == ["click", "buy"]
    assert shares[1][0] == 1.0  # whoever buys has clicked
    assert 0.4 < shares[0][1] < 0.6


def test_rejected_rows_with_examples(report: tuple[dict[str, Any], str]) -> None:
    facts, page = report
    found = {row["reason"]: row for row in facts["rejected"]}
    assert {reason: row["rows"] for reason, row in found.items()} == {
        "column 'age' is not a number": 4,
        "label 'click' is neither 0 nor 1": 1,
    }
    assert [len(row["examples"]) for row in facts["rejected"]] == [3, 1]
    assert "row 9: label &#39;click&#39; is neither 0 nor 1: 2.0" in page


def test_values_are_escaped(prepared: PreparedData, tmp_path: Path) -> None:
    rows = [{"x": "<script>alert(1)</script>", "y": index % 2} for index in range(60)]
    problem = Problem("odd", (CategoricalFeature("x"),), (BinaryTask("y"),), split=Split(by="row", valid=0, test=0))
    preprocess(problem, [str(write_csv(tmp_path / "log.csv", rows))], str(tmp_path / "data"), num_shards=1)
    facts = data_report(PreparedData(tmp_path / "data"), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert facts["drift"] == []
    for sentence in ("no time, so there are no days", "no other split", "no numeric feature", "None: every row"):
        assert sentence in page


def test_the_command(prepared: PreparedData) -> None:
    result = tfmtl("data-report", prepared.directory, "--rows", "200")
    assert result.code == 0, result.err
    path = prepared.directory.parent / "data_report.html"
    assert path.is_file()
    assert "feature 'leak' alone tells task 'click'" in result.out
    assert "Largest drift against the training split: " in result.out
    assert "at most 200 per split" in path.read_text(encoding="utf-8")
    assert tfmtl("data-report", prepared.directory, "--rows", "0").code == 2


@pytest.mark.parametrize("days", [1, 2, 4, 5, 6, 9, 10, 31, 45, 366])
def test_ticks_of_any_span_of_days(days: int) -> None:
    """None of a part of a day where there are several, and matplotlib finds them without a warning."""
    span = np.datetime64("2023-11-14") + np.arange(days)
    figure = days_figure({"train": {str(day): 7 for day in span}, "valid": {}, "test": {}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(io.BytesIO())
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert len(labels) >= min(days, 5)
    assert days == 1 or not any(":" in label for label in labels)
