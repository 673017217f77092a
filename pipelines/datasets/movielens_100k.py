"""MovieLens-100K (GroupLens, Harper and Konstan 2015): 100,000 film ratings by 943 people."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from tfmtl.pipelines.datasets.dataset import Dataset, fetch_first
from tfmtl.pipelines.datasets.source import fetch_archive, fetch_from_package

File = TypeVar("File")

_URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
_ORIGINAL = ("u.data", "u.user", "u.item")
_COPY = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
}
_GENRES = (
    "unknown Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy Film-Noir Horror Musical "
    "Mystery Romance Sci-Fi Thriller War Western"
).split()


def _from_publisher() -> dict[str, bytes]:
    return _pick({Path(name).name: content for name, content in fetch_archive(_URL).items()})


def _fetch() -> dict[str, bytes]:
    return fetch_first("movielens_100k", _from_publisher, lambda: fetch_from_package("recbole==1.2.1", _COPY))


def _find(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in _pick({path.name: path for path in folder.rglob("*")}).items()}


def _pick(files: Mapping[str, File]) -> dict[str, File]:
    """The three files of the original or, where it is not there, of the copy."""
    for names in (_ORIGINAL, tuple(_COPY)):
        if all(name in files for name in names):
            return {name: files[name] for name in names}
    raise FileNotFoundError(f"neither {', '.join(_ORIGINAL)} nor {', '.join(_COPY)} is there")


def _to_rows(files: dict[str, bytes]) -> pa.Table:
    original = "u.data" in files
    ratings, users, items = (_read_original if original else _read_copy)(files)
    rows = ratings.join(users, "user_id").join(items, "item_id")
    rating = rows["rating"].to_numpy()
    years = pc.if_else(pc.match_substring_regex(rows["release_year"], r"^\d{4}$"), rows["release_year"], None)
    rows = rows.set_column(rows.schema.get_field_index("release_year"), "release_year", years)
    rows = rows.append_column("like", pa.array((rating >= 4).astype(np.int8)))
    rows = rows.append_column("love", pa.array((rating == 5).astype(np.int8)))
    return rows.sort_by([("timestamp", "ascending"), ("user_id", "ascending"), ("item_id", "ascending")])


def _read_original(files: dict[str, bytes]) -> tuple[pa.Table, pa.Table, pa.Table]:
    ratings = _table(files["u.data"], "\t", ["user_id", "item_id", "rating", "timestamp"])
    users = _table(files["u.user"], "|", ["user_id", "age", "gender", "occupation", "zip_code"])
    names = ["item_id", "title", "date", "video_date", "url", *_GENRES]
    items = _table(files["u.item"].decode("latin-1").encode(), "|", names)
    flags = np.stack([items[genre].to_numpy() == "1" for genre in _GENRES], axis=1)
    genres = ["|".join(np.array(_GENRES)[row]) for row in flags]
    # The year in the title, as in the copy; for some films the date is that of another country's release.
    years = pc.struct_field(pc.extract_regex(items["title"], r"\((?P<year>\d{4})\)$"), "year")
    return ratings, users, pa.table({"item_id": items["item_id"], "release_year": years, "genres": genres})


def _read_copy(files: dict[str, bytes]) -> tuple[pa.Table, pa.Table, pa.Table]:
    ratings = _table(files["ml-100k.inter"], "\t", ["user_id", "item_id", "rating", "timestamp"], header=True)
    users = _table(files["ml-100k.user"], "\t", ["user_id", "age", "gender", "occupation", "zip_code"], header=True)
    items = _table(files["ml-100k.item"], "\t", ["item_id", "title", "release_year", "genres"], header=True)
    genres = pc.replace_substring(items["genres"], " ", "|")
    return ratings, users, items.select(["item_id", "release_year"]).append_column("genres", genres)


def _table(content: bytes, delimiter: str, names: list[str], header: bool = False) -> pa.Table:
    types = dict.fromkeys(names, pa.string()) | {"timestamp": pa.int64()}
    table = csv.read_csv(
        pa.BufferReader(content),
        read_options=csv.ReadOptions(column_names=names, skip_rows=int(header)),
        parse_options=csv.ParseOptions(delimiter=delimiter, quote_char=False),
        convert_options=csv.ConvertOptions(column_types=types),
    )
    if "rating" in names:
        rating = pc.cast(table["rating"], pa.float32())
        table = table.set_column(names.index("rating"), "rating", rating)
    return table


MOVIELENS_100K = Dataset(
    name="movielens_100k",
    summary="MovieLens-100K: 100,000 film ratings, histories of rated, liked and disliked films",
    fetch=_fetch,
    find=_find,
    to_rows=_to_rows,
)
