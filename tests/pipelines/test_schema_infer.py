"""`tfmtl schema infer`: what it guesses, why, and what it refuses."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tests.support.command import tfmtl
from tests.support.csv_columns import write_csv
from tests.support.infer_command import infer, infer_refused
from tests.support.shop_columns import ROWS, shop_columns
from tfmtl.pipelines.preprocess.job import preprocess
from tfmtl.schema import (
    CategoricalFeature,
    HistoryFeature,
    MatchFeature,
    NumericFeature,
    Problem,
    ProblemError,
    RateFeature,
    RegressionTask,
    TextFeature,
    TimePartFeature,
)


@pytest.mark.parametrize("name", ["log.csv", "log.tsv", "log.csv.gz", "log.parquet"])
def test_ashop_columns(tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        columns = {key: [value] * ROWS if isinstance(value, str) else value for key, value in shop_columns().items()}
        parquet.write_table(pa.table(columns), tmp_path / name)
    else:
        write_csv(tmp_path / name, shop_columns(), "\t" if ".tsv" in name else ",")
    problem, text = infer(tmp_path, tmp_path / name, "--label", "click", "--label", "is_buy")
    assert problem.name == "log"
    assert (problem.keys.user, problem.keys.time, problem.keys.time_unit) == ("user_id", "ts", "ms")
    assert problem.features == (
        CategoricalFeature("user_id", side="user"),
        CategoricalFeature("viewItemID", side="item"),
        CategoricalFeature("country", side="user"),
        CategoricalFeature("kind", side="item"),
        CategoricalFeature("tags", multi_valued=True, separator=";", max_values=2, side="item"),
        NumericFeature("price", "log_z_score"),
        NumericFeature("age", "z_score"),
        NumericFeature("visits"),
        TextFeature("title"),
        HistoryFeature("history", enters="once"),
        MatchFeature("history", ("viewItemID", "kind"), enters="once"),
        TimePartFeature(("hour",)),
        *(
            RateFeature(of, task, known_after=1, enters="once")
            for of in ("user_id", "viewItemID")
            for task in ("click", "is_buy")
        ),
    )
    assert [(sequence.name, sequence.columns, sequence.when) for sequence in problem.sequences] == [
        ("history", ("viewItemID", "kind"), None),
    ]
    assert "They are right only if it is known at the time of its row's event" in text
    assert "# - {name: past_click, columns: [viewItemID, kind], when: click == 1, max_length: 50}" in text
    assert [(task.kind, task.name) for task in problem.tasks] == [("binary", "click"), ("binary", "is_buy")]
    assert problem.split.by == "time"
    for reason in (
        "never 1 where click is 0: `parent: click` chains them",
        "in ms the values run from 2020-09-13T",
        "row_id is another in every row",
        "free text",
        "shop is always 'one'",
        "empty has no value",
        "# - {kind: regression, name: watch_seconds}",
        "watch_seconds (0/1 or an amount, by its name): may be a label",
    ):
        assert reason in text
    manifest = preprocess(problem, [str(tmp_path / name)], str(tmp_path / "data"), num_shards=1)
    assert (manifest["rows_written"], manifest["rows_rejected"], manifest["warnings"]) == (ROWS, {}, [])


def test_without_a_label_only_labels_are_missing(tmp_path: Path) -> None:
    output = tmp_path / "problem.yaml"
    result = tfmtl("schema", "infer", write_csv(tmp_path / "log.csv", shop_columns()), "-o", output)
    assert "It needs labels: name them there, or run again with --label. Candidates: click (" in result.out
    with pytest.raises(ProblemError, match="tasks: must be a list"):
        Problem.load(output)
    output.write_text(
        output.read_text().replace("  # - {kind: binary, name: click}", "  - {kind: binary, name: click}")
    )
    assert [task.name for task in Problem.load(output).tasks] == ["click"]


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "problem.yaml").write_text("mine")
    result = tfmtl("schema", "infer", write_csv(tmp_path / "log.csv", shop_columns()), "-o", tmp_path / "problem.yaml")
    assert (result.code, "exists already" in result.err) == (2, True)
    assert (tmp_path / "problem.yaml").read_text() == "mine"


def test_named_keys_go_before_guesses(tmp_path: Path) -> None:
    columns = {"who": np.arange(60) % 5, "what": np.arange(60) % 7, "t": np.arange(60) * 3, "y": np.arange(60) / 7}
    file = write_csv(tmp_path / "log.csv", columns)
    problem, text = infer(tmp_path, file, "--label", "y", "--user", "who", "--time", "t", "--item", "what")
    assert (problem.keys.user, problem.keys.time, problem.tasks[0].kind) == ("who", "t", "regression")
    assert problem.sequences[0].columns == ("what",)
    assert "taken for seconds from some start" in text
    guessed, _ = infer(tmp_path, file, "--label", "y")
    assert (guessed.keys.user, guessed.split.by, guessed.sequences) == (None, "row", ())


@pytest.mark.parametrize(("times", "unit"), [("1600000{:03d}", "s"), ("1600000{:03d}123", "ms")])
def test_the_unit_of_the_time(tmp_path: Path, times: str, unit: str) -> None:
    columns = {"uid": np.arange(90) % 4, "time": [times.format(i) for i in range(90)], "y": np.arange(90) % 2}
    problem, _ = infer(tmp_path, write_csv(tmp_path / "log.csv", columns), "--label", "y")
    assert (problem.keys.time, problem.keys.time_unit) == ("time", unit)


def test_times_in_another_form(tmp_path: Path) -> None:
    columns = {"uid": np.arange(90) % 4, "x": np.arange(90) % 9, "y": np.arange(90) % 2}
    micro = {**columns, "time": [f"1600000{i:03d}123456" for i in range(90)]}
    problem, _ = infer(tmp_path, write_csv(tmp_path / "a.csv", micro), "--label", "y")
    assert (problem.keys.time, problem.keys.time_unit) == ("time", "us")
    written = {**columns, "time": [f"2020-09-{i % 30 + 1:02d} 10:00:00" for i in range(90)]}
    problem, text = infer(tmp_path, write_csv(tmp_path / "b.csv", written), "--label", "y")
    assert (problem.keys.time, problem.keys.time_unit) == ("time", "s")
    assert "time: ISO text, read as seconds since 1970; without a zone it is UTC" in text
    odd = {**columns, "time": [f"{i % 30 + 1:02d}.09.2020" for i in range(90)]}
    problem, text = infer(tmp_path, write_csv(tmp_path / "d.csv", odd), "--label", "y")
    assert problem.keys.time is None
    assert "time is a date written as text: write it as ISO text" in text
    stamps = {**columns, "time": pa.array(np.arange(90) * 10**12, pa.timestamp("us"))}
    parquet.write_table(pa.table(stamps), tmp_path / "c.parquet")
    problem, _ = infer(tmp_path, tmp_path / "c.parquet", "--label", "y")
    assert (problem.keys.time, problem.keys.time_unit) == ("time", "ms")


def test_behaviors_sort_the_histories(tmp_path: Path) -> None:
    columns = {
        "visitorid": np.arange(90) % 4,
        "itemid": np.arange(90) % 9,
        "event": np.array(["view", "addtocart", "view", "transaction"])[np.arange(90) % 4],
        "timestamp": 1_433_221_332_117 + np.arange(90),
        "transactionid": np.where(np.arange(90) % 4 == 3, np.arange(90), -1),
    }
    problem, text = infer(tmp_path, write_csv(tmp_path / "log.csv", columns), "--label", "transactionid")
    assert [sequence.when for sequence in problem.sequences] == [
        "event == 'view'",
        "event == 'addtocart'",
        "event == 'transaction'",
    ]
    assert "column 'event' says what happened (view, addtocart, transaction)" in text


def test_a_named_key_is_a_name(tmp_path: Path) -> None:
    columns = {
        "uid": np.arange(90) % 4,
        "ts": 1_600_000_000 + np.arange(90),
        "sku": np.arange(90) % 30,
        "y": np.arange(90) % 2,
    }
    problem, _ = infer(tmp_path, write_csv(tmp_path / "log.csv", columns), "--label", "y", "--item", "sku")
    assert problem.feature("sku").kind == "categorical"
    del columns["sku"]
    problem, text = infer(tmp_path, write_csv(tmp_path / "b.csv", {**columns, "x": np.arange(90) % 9}), "--label", "y")
    assert problem.sequences == ()
    assert "no sequences: no column of what is shown or bought was found (`item` names it)" in text


def test_what_the_log_tells_of_the_future(tmp_path: Path) -> None:
    ts = 1_600_000_000 + np.cumsum(np.arange(90) % 13 + 1)
    gaps = np.append(ts[4:] - ts[:-4], [7, 7, 7, 7])  # users take turns
    number = np.arange(90)
    columns = {"uid": number % 4, "ts": ts, "itemid": number % 9, "g": gaps * 1000, "days_to_return": ts % 11}
    columns |= {"event_type": number % 3 + 1, "x": number % 7, "y": number % 2}
    problem, text = infer(tmp_path, write_csv(tmp_path / "log.csv", columns), "--label", "y")
    assert {feature.name for feature in problem.features if feature.columns} == {"uid", "itemid", "x"}
    for reason in (
        "g is the time to the user's next row",
        "days_to_return says, by its name, what comes later",
        "event_type may say in codes what happened",
        "what do the codes of column 'event_type' mean (1, 2, 3)?",
        'as in when: "event_type == 1"',
    ):
        assert reason in " ".join(text.replace("#", " ").split())


def test_nulls_with_a_name_and_lists_as_text(tmp_path: Path) -> None:
    columns = {
        "x": ["\\N", 1, 2] * 30,
        "z": ["-", "a", "b"] * 30,
        "tags": ["['a' 'b']", "[]", "['c']"] * 30,
        "y": np.arange(90) % 2,
    }
    problem, text = infer(tmp_path, write_csv(tmp_path / "log.csv", columns), "--label", "y")
    assert problem.missing == ("\\N",)
    tags = problem.feature("tags")
    assert isinstance(tags, CategoricalFeature)
    assert (tags.multi_valued, tags.format) == (True, "json")
    assert "column 'z' holds '-' (33%): if that means missing, add it to `missing`" in text


def test_types_of_newer_writers(tmp_path: Path) -> None:
    number = np.arange(90)
    columns = {
        "itemid": pa.array([f"i{n % 9}" for n in number], pa.string_view()),
        "code": pa.array((10_000_000_000 + number % 5).astype(float)),
        "tags": pa.array([["a", "b"]] * 90, pa.list_(pa.string_view())),
        "y": number % 2,
    }
    parquet.write_table(pa.table(columns), tmp_path / "log.parquet")
    problem, _ = infer(tmp_path, tmp_path / "log.parquet", "--label", "y")
    assert [(each.name, each.kind) for each in problem.features if each.columns] == [
        ("itemid", "categorical"),
        ("code", "categorical"),
        ("tags", "categorical"),
    ]


def test_a_column_that_says_the_split(tmp_path: Path) -> None:
    columns = {
        "x": np.arange(90) % 9,
        "y": np.arange(90) % 2,
        "part": np.array(["train", "valid", "test"])[np.arange(90) % 3],
    }
    problem, _ = infer(tmp_path, write_csv(tmp_path / "a.csv", columns), "--label", "y")
    assert (problem.split.by, problem.split.column) == ("column", "part")
    columns["part"] = np.array(["train", "test"])[np.arange(90) % 2]
    problem, text = infer(tmp_path, write_csv(tmp_path / "b.csv", columns), "--label", "y")
    assert problem.split.by == "row"
    assert "'part' says train and so on, but never valid" in text
    assert [feature.name for feature in problem.features] == ["x"]


def test_odd_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    table = pa.table(
        {
            "two words": np.arange(300) % 3,
            "two.words": np.arange(300) % 2,
            "Größe (€)": rng.random(300),
            "价格": rng.random(300),
            "Preis": [f"{n}.{n:03},5" for n in range(1, 301)],
            "written": [f"{1 + n % 28:02}.12.2024 10:{n % 60}" for n in range(300)],
            "address": [f"192.168.10.{n % 7}" for n in range(300)],
            "pairs": [f"{n % 11},{n % 13}" for n in range(300)],
            "link": [f"x{n * 7 % 300}" for n in range(300)],
            "liste": pa.array([[str(n % 5), str(n % 3)] for n in range(300)]),
            "struct": pa.array([{"a": n} for n in range(300)]),
            "flag": pa.array(rng.random(300) < 0.5),
            "nan": np.where(np.arange(300) % 2, np.nan, np.arange(300.0)),
            "zip_code": rng.integers(10_000, 99_999, 300),
            "day": np.array([20_200_101, 20_200_102])[np.arange(300) % 2],
            "almost": [*["n/a"], *[str(n / 7) for n in range(299)]],
            "the label": rng.random(300),
        }
    )
    parquet.write_table(table, tmp_path / "odd.parquet")
    problem, text = infer(tmp_path, tmp_path / "odd.parquet", "--label", "the label")
    assert problem.tasks == (RegressionTask("the_label", "the label"),)
    assert problem.features == (
        CategoricalFeature("two_words", column="two words"),
        CategoricalFeature("two_words_2", column="two.words"),
        NumericFeature("Grosse_EUR", "z_score", column="Größe (€)"),
        NumericFeature("column_4", "z_score", column="价格"),
        CategoricalFeature("address"),
        CategoricalFeature("pairs", multi_valued=True, separator=",", max_values=2),
        CategoricalFeature("liste", multi_valued=True, max_values=2),
        CategoricalFeature("flag"),
        NumericFeature("nan"),
        CategoricalFeature("zip_code"),
        NumericFeature("almost", "z_score"),
    )
    for reason in (
        "struct is of type struct",
        "written, day is a date",
        "missing: [n/a]",
        "Preis holds numbers",
        "link is another",
    ):
        assert reason in text
    manifest = preprocess(problem, [str(tmp_path / "odd.parquet")], str(tmp_path / "data"), num_shards=1)
    assert manifest["rows_rejected"] == {}


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        ("1,2\n3,4\n", [], "must begin with a header line"),
        ("", [], "is empty"),
        ("a,b\n", [], "holds no row"),
        ("a,a\n1,2\n", [], r"more than one column of ['a']"),
        ("a,b\n1,2\n2,0\n", ["--label", "c"], "`label` must be a column. Received: 'c'"),
        ("a,b\nx,2\ny,0\n", ["--label", "a"], "label 'a' must be a column of numbers"),
        ("a,b\n1,2\n1,0\n", ["--label", "b"], "no column is left as a feature"),
    ],
)
def test_bad_files(tmp_path: Path, content: str, options: list[str], reason: str) -> None:
    (tmp_path / "log.csv").write_text(content)
    assert reason in infer_refused(tmp_path, tmp_path / "log.csv", *options)
