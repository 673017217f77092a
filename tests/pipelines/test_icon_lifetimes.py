"""Icon lifetimes: rows from a file in the published form."""

import base64
import gzip
import math
from typing import Any

import pytest

from tests.support.pictures import png
from tfmtl.pipelines.datasets.icon_lifetimes import ICON_LIFETIMES

HEAD = "time,event,entered,title,source_host,hex,svg_bytes,image_png_base64\n"
PICTURE = png(32, 32, 1)
TEXT = base64.b64encode(PICTURE).decode()
LINES = (
    f"3940.27,0,2015-10-18,500px,500px.com,0102FF,1655,{TEXT}\n"
    f'12.5,1,2016-01-02,"Adobe, Inc.",,FFFFFF,90,{TEXT}\n'
    "0.5,0,2017-05-06,Nothing,nothing.org,,1,\n"
)


def rows(text: str) -> list[dict[str, Any]]:
    return ICON_LIFETIMES.to_rows({"icons.csv.gz": gzip.compress(text.encode())}).to_pylist()


def test_rows_are_those_of_the_file() -> None:
    first, second, third = rows(HEAD + LINES)
    assert first == {
        "owner": "500px.com",
        "title": "500px",
        "source_host": "500px.com",
        "icon": PICTURE,
        "red": 1.0,
        "green": 2.0,
        "blue": 255.0,
        "svg_bytes": 1655,
        "year": 2015,
        "days": 3940.27,
        "removed": 0,
    }
    assert second["owner"] == second["title"] == "Adobe, Inc."  # without a host the title stands for the owner
    assert (second["days"], second["removed"], second["year"]) == (12.5, 1, 2016)
    assert third["icon"] is None
    assert math.isnan(third["red"])
    problem = ICON_LIFETIMES.problem
    needed = {column for feature in problem.features for column in feature.columns}
    assert needed | {"owner", "days", "removed"} == set(first)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (LINES.replace("0102FF", "12G"), "a color is not six hexadecimal digits"),
        (LINES.replace(TEXT, "%%"), "a picture is not base64"),
        (LINES.replace("3940.27", "long"), "'icons.csv.gz' cannot be read"),
    ],
)
def test_a_file_of_another_form_is_named(line: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        rows(HEAD + line)
