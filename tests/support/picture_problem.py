"""A tiny problem with pictures of items and of the context, and a log for it."""

from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tests.support.pictures import BROKEN, jpeg
from tests.support.tiny_problem import ROWS, tiny_log, tiny_problem
from tfmtl.schema import ImageFeature, Problem

PHOTO = ImageFeature("photo", 12, 12, 1, filters=(8, 8), side="item", dropout=0.1)
BADGE = ImageFeature("badge", 6, 6, filters=(4,), column="Badge")


def problem_of_pictures() -> Problem:
    """The first four features of the tiny problem and two pictures."""
    problem = tiny_problem()
    return tiny_problem(features=(*problem.features[:4], PHOTO, BADGE), sequences=problem.sequences[:1])


def log_of_pictures(broken: bool = True) -> pa.Table:
    """A log of `ROWS` rows: items have pictures of stripes, some none; with `broken` some that are none at all."""
    log = tiny_log()
    photos: list[Any] = [_stripes(int(item[1:])) for item in log["item"].to_pylist()]
    photos[10:12] = [None, b""]
    badges: list[Any] = [jpeg(9, 7, seed=row % 5) for row in range(ROWS)]
    if broken:
        photos[20 : 20 + len(BROKEN)] = BROKEN.values()
    return log.append_column("photo", pa.array(photos, pa.binary())).append_column("Badge", pa.array(badges))


def _stripes(item: int) -> bytes:
    places = np.indices((16, 16))[item % 2] + item
    return bytes(tf.io.encode_png((places % 4 * 60).astype(np.uint8)[..., np.newaxis]).numpy())
