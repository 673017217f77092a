"""A small data set in MovieLens-100K's original format, and two stages learnt from a tiny log."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest

from tests.support.command import tfmtl
from tests.support.shared_folder import shared_folder
from tests.support.tiny_problem import tiny_problem
from tests.support.two_stages import two_stage_log

USERS, ITEMS, RATINGS = 30, 40, 1500


@pytest.fixture(scope="session")
def movielens_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`u.data`, `u.user` and `u.item` with made-up ratings that users' and films' tastes explain."""
    folder = tmp_path_factory.mktemp("ml-100k")
    generator = np.random.default_rng(0)
    users, items = generator.integers(1, USERS + 1, RATINGS), generator.integers(1, ITEMS + 1, RATINGS)
    taste = np.sin(users % 5 + items % 7) + 0.3 * generator.normal(size=RATINGS)
    ratings = np.clip(np.round(3.2 + 1.5 * taste), 1, 5).astype(int)
    times = 880_000_000 + np.sort(generator.integers(0, 10_000_000, RATINGS))
    rows = zip(users, items, ratings, times, strict=True)
    (folder / "u.data").write_text("".join(f"{u}\t{i}\t{r}\t{t}\n" for u, i, r, t in rows))
    people = (f"{u}|{20 + u}|{'MF'[u % 2]}|{('artist', 'writer')[u % 2]}|0000{u}\n" for u in range(1, USERS + 1))
    (folder / "u.user").write_text("".join(people))
    films = []
    for item in range(1, ITEMS + 1):
        flags = "|".join(str(int(genre in (item % 19, item % 7))) for genre in range(19))
        films.append(f"{item}|Film é {item} (1990)|01-Jan-{1970 + item % 25}||http://film|{flags}\n")
    (folder / "u.item").write_bytes("".join(films).encode("latin-1"))
    return folder


@pytest.fixture(scope="session")
def two_stages() -> tuple[Path, str]:
    """Output folder and screen of `tfmtl run-two-stage`; not to be written to."""
    folder = shared_folder("two_stages", _run_two_stages)
    return folder / "out", (folder / "screen.txt").read_text()


def _run_two_stages(folder: Path) -> None:
    (folder / "log").mkdir()
    parquet.write_table(two_stage_log(), folder / "log" / "log.parquet")
    tiny_problem().save(folder / "log" / "problem.yaml")
    small = ("--preset", "shared_bottom", "--set", "hidden_units=[16,8]", "--set", "tower_units=[8]", "--epochs", "1")
    result = tfmtl("run-two-stage", folder / "log", "-o", folder / "out", "--exclude-seen", *small)
    assert result.code == 0, result.err
    (folder / "screen.txt").write_text(result.out)
