"""Logs as people have them: nulls with a name, lists as text, words as labels, days for times, rows at one time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.plain_run import run_plan
from tests.support.small_log import contents, records, values, write_csv
from tfmtl.preprocessing.reading.read import InputError
from tfmtl.schema import (
    BinaryTask,
    CategoricalFeature,
    Keys,
    LabelWindow,
    NumericFeature,
    Problem,
    SequenceFeature,
    Split,
)

PROBLEM = Problem(
    "shop",
    keys=Keys("user", "ts"),
    features=(CategoricalFeature("item"), CategoricalFeature("tags", multi_valued=True), NumericFeature("price")),
    sequences=(SequenceFeature("viewed", ("item",), max_length=5),),
    tasks=(BinaryTask("click"),),
    split=Split(by="user", valid=0.0, test=0.0),
)
Row = dict[str, Any]


def _rows(**columns: list[Any]) -> list[Row]:
    rows = max([20, *(len(found) for found in columns.values())])
    return [
        {
            "user": f"u{number % 3}",
            "ts": 1_600_000_000 + 1000 * number,
            "item": f"i{number % 4}",
            "tags": "a|b",
            "price": number,
            "click": int(number % 4 == 0),
            **{name: found[number % len(found)] for name, found in columns.items()},
        }
        for number in range(rows)
    ]


def _run(folder: Path, rows: list[Row], problem: Problem = PROBLEM, **options: Any) -> dict[str, Any]:
    return run_plan(problem, [write_csv(folder / "log.csv", rows)], folder / "out", **options)


def _vocabulary(folder: Path, name: str) -> set[str]:
    return set((folder / "out" / "transform" / "vocabularies" / f"{name}.txt").read_text().split())


# === Missing ===


def test_nulls_with_a_name(tmp_path: Path) -> None:
    rows = _rows(item=["i0", "\\N", "i2", "i3"], price=[0, 1, "NULL", 3])
    manifest = _run(tmp_path, rows)
    assert manifest["rows_rejected"] == {"column 'price' is not a number": 5}
    number, name = manifest["warnings"]
    assert number.startswith("column 'price' has a text that usually means missing and is rejected as not a number, 5")
    assert name.startswith(
        "the vocabulary of 'item' holds '\\N' (5 times): if that means missing, say so with `missing: "
    )
    price = replace(PROBLEM.features[2], missing=("NULL",))
    manifest = _run(tmp_path, rows, replace(PROBLEM, features=(PROBLEM.features[0], price)))
    assert manifest["rows_rejected"] == {}
    manifest = _run(tmp_path, rows, replace(PROBLEM, missing=("NULL", "\\N")))
    assert (manifest["warnings"], manifest["rows_rejected"]) == ([], {})
    assert manifest["splits"]["train"]["features"]["item"]["missing"] == 0.25
    assert _vocabulary(tmp_path, "item") == {"i0", "i2", "i3"}


def test_a_named_null_is_the_empty_text(tmp_path: Path) -> None:
    for name, problem, null in (("empty", PROBLEM, ""), ("named", replace(PROBLEM, missing=("-",)), "-")):
        (tmp_path / name).mkdir()
        _run(tmp_path / name, _rows(item=[null, "i1"], price=[1, null, 3], tags=["a", null]), problem)
    outputs = [contents(tmp_path / name / "out") for name in ("empty", "named")]
    empty, named = ({file: text for file, text in found.items() if "problem" not in file} for found in outputs)
    assert named == empty


# === Lists ===


def test_lists_as_text(tmp_path: Path) -> None:
    rows = _rows(tags=["['new', 'red']", "[]", '["sale", "new"]'])
    [warning] = _run(tmp_path, rows)["warnings"]
    assert warning.startswith("multi-valued column 'tags' holds lists that were written as text")
    item, _, price = PROBLEM.features
    [single] = _run(tmp_path, rows, replace(PROBLEM, features=(item, CategoricalFeature("tags"), price)))["warnings"]
    assert single.endswith("each whole text is one value. Set `multi_valued: true` and `format: json`.")
    read = replace(PROBLEM, features=(item, CategoricalFeature("tags", multi_valued=True, format="json"), price))
    assert _run(tmp_path, rows, read)["warnings"] == []
    assert _vocabulary(tmp_path, "tags") == {"new", "red", "sale"}


def test_another_separator(tmp_path: Path) -> None:
    [warning] = _run(tmp_path, _rows(tags=["a;b"]))["warnings"]
    assert warning.startswith("no value of the multi-valued column 'tags' holds its separator: check `separator`")


# === Labels ===


def test_words_as_labels(tmp_path: Path) -> None:
    problem = replace(PROBLEM, tasks=(BinaryTask("click", positive="yes"),))
    assert (
        _run(tmp_path, _rows(click=["yes", "no", "no"]), problem)["splits"]["train"]["tasks"]["click"]["mean"] == 0.35
    )
    with pytest.raises(
        InputError, match=r"all 20 labels are 0\. Column 'click' holds \['Y', 'N'\], and `positive` is 'yes'"
    ):
        _run(tmp_path, _rows(click=["Y", "N", "Y"]), problem)


def test_one_class(tmp_path: Path) -> None:
    text = (
        r"preprocess: task 'click' has one class in the training split: all 15 labels are 0\. 5 rows were rejected as "
        r"their label is neither 0 nor 1, such as: label 'click' is neither 0 nor 1: 5\.0\. Write 0 and 1, or name"
    )
    with pytest.raises(InputError, match=text):
        _run(tmp_path, _rows(click=[0, 0, 0, 5]))
    _run(tmp_path, _rows())
    (tmp_path / "next").mkdir()
    [warning] = _run(tmp_path / "next", _rows(click=[1]), transform_from=str(tmp_path / "out"))["warnings"]
    assert warning.startswith(
        "task 'click' has one class in the training split: all 20 labels are 1. Check column 'click'"
    )


# === Times ===


def test_one_log_with_its_times_in_every_form(tmp_path: Path) -> None:
    days = [18_262 + number for number in range(20)]
    forms = {
        "d": days,
        "s": [day * 86_400 for day in days],
        "text": [f"2020-01-{number + 1:02}" for number in range(20)],
        "zone": [f"2020-01-{number + 1:02}T02:00:00+02:00" for number in range(20)],
    }
    outputs = []
    for name, times in forms.items():
        (tmp_path / name).mkdir()
        problem = replace(PROBLEM, keys=Keys("user", "ts", time_unit="d" if name == "d" else "s"))
        assert _run(tmp_path / name, _rows(ts=times), problem)["warnings"] == []
        found = contents(tmp_path / name / "out")
        outputs.append({file: text for file, text in found.items() if "problem" not in file})
    assert outputs[1:] == outputs[:1] * 3


def test_times_with_and_without_a_zone(tmp_path: Path) -> None:
    [warning] = _run(tmp_path, _rows(ts=["2020-01-01T00:00:00Z", "2020-01-01T00:00:00"]))["warnings"]
    assert warning == (
        "column 'ts' holds 10 times with a zone and 10 without, which are taken for UTC: check that they are."
    )


# === Order ===

_SAME_DAY = [{**row, "user": "u", "ts": 5, "step": step, "item": f"i{step}", "buy": int(step == 2)}
             for step, row in zip((3, 1, 2, 1), _rows()[:4], strict=True)]  # fmt: skip


@pytest.mark.parametrize(("order", "lengths"), [(None, [0, 0, 0, 0]), ("step", [0, 0, 2, 3])])
def test_the_order_of_rows_at_one_time(tmp_path: Path, order: str | None, lengths: list[int]) -> None:
    keys = Keys("user", "ts", order=order)
    window = BinaryTask("bought", label_window=LabelWindow("buy == 1", hours=1.0))
    problem = replace(
        PROBLEM, keys=keys, tasks=(BinaryTask("click"), window), split=Split(by="row", valid=0.0, test=0.0)
    )
    other = {**_SAME_DAY[0], "user": "v", "step": 0, "buy": 0}
    later = [{**other, "ts": 10**9}, {**other, "ts": 10**9 + 60, "buy": 1}, {**other, "ts": 10**9 + 10_000}]
    _run(tmp_path, [*_SAME_DAY, *later], problem)
    found = [values(record) for record in records(tmp_path / "out", "train")]
    mine = [example for example in found if example["key:group"] == [b"u"]]
    assert sorted(len(example["viewed__item"]) for example in mine) == lengths
    assert sum(example["label:bought"] == [1.0] for example in mine) == (2 if order else 0)  # both before step 2


def test_a_row_without_its_order_is_rejected(tmp_path: Path) -> None:
    problem = replace(PROBLEM, keys=Keys("user", "ts", order="step"))
    assert _run(tmp_path, _rows(step=[1, None, 2, 3]), problem)["rows_rejected"] == {
        "column 'step' (the order) is missing": 5
    }
