"""Icon lifetimes: icons of the simple-icons set with their title, host, color and picture, until they are removed.

One in ten is removed; the others were still there when the log ended (right censored). Removals come in lumps, one
brand owner at a time, and what predicts them is the owner, in title and host, rather than the picture.
"""

import base64
import binascii
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.pipelines.datasets.local_files import local_dataset, read_csv_gz

_FILE = "icons.csv.gz"
_WHERE = (
    "It is drawn from the git history of github.com/simple-icons/simple-icons (CC0): for every icon the days from "
    "entry to removal, whether it was removed, the day of entry, title, host of the brand's page, color, bytes of "
    "the SVG, and the icon as a gray PNG of 32 x 32 pixels in base64."
)
_TYPES = {
    "time": pa.float64(),
    "event": pa.int8(),
    "entered": pa.string(),
    "title": pa.string(),
    "source_host": pa.string(),
    "hex": pa.string(),
    "svg_bytes": pa.int64(),
    "image_png_base64": pa.string(),
}
_COLORS = ("red", "green", "blue")
_COLOR = re.compile("[0-9A-Fa-f]{6}")


def _to_rows(content: bytes) -> pa.Table:
    icons = read_csv_gz(_FILE, content, _TYPES)
    host, title = icons["source_host"].combine_chunks(), icons["title"].combine_chunks()
    has_host = pc.fill_null(pc.greater(pc.utf8_length(host), 0), False)
    colors = _colors(icons["hex"].to_pylist())
    return pa.table(
        {
            "owner": pc.if_else(has_host, host, title),
            "title": title,
            "source_host": host,
            "icon": pa.array([_picture(text) for text in icons["image_png_base64"].to_pylist()], pa.binary()),
            **{name: colors[:, place] for place, name in enumerate(_COLORS)},
            "svg_bytes": icons["svg_bytes"],
            "year": [int(day[:4]) for day in icons["entered"].to_pylist()],
            "days": icons["time"],
            "removed": icons["event"],
        }
    )


def _colors(texts: list[str | None]) -> np.ndarray:
    """Red, green and blue from 0 to 255 of colors such as `00FF7F`, NaN where there is none, `(n, 3)`."""
    for text in texts:
        if text and not _COLOR.fullmatch(text):
            raise ValueError(
                f"datasets: '{_FILE}' cannot be read: a color is not six hexadecimal digits. Received: {text!r}."
            )
    missing = [np.nan] * len(_COLORS)
    return np.array([list(bytes.fromhex(text)) if text else missing for text in texts], np.float64)


def _picture(text: str | None) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) if text else None
    except binascii.Error as error:
        raise ValueError(f"datasets: '{_FILE}' cannot be read: a picture is not base64: {error}") from error


ICON_LIFETIMES = local_dataset(
    name="icon_lifetimes",
    summary="simple-icons, 3,830 icons (your copy): time until removal, from title, host, color and picture",
    where=_WHERE,
    file=_FILE,
    to_rows=_to_rows,
    presets=("creative", "mmoe"),
    training={"batch_size": 128, "ema_momentum": 0.98, "id_dropout": 0.0},
)
