"""Every kind says itself which columns it reads; `schema infer` takes the best of the registry's answers."""

import inspect
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from tfmtl.proposal import feature_guess, roles
from tfmtl.proposal.column_profile import ColumnProfile
from tfmtl.proposal.feature_guess import guess_feature
from tfmtl.schema import NumericFeature
from tfmtl.schema.features.feature_record import Guess
from tfmtl.schema.registry import FEATURES

N = 200
NUMBERS = pa.array(np.random.default_rng(0).normal(size=N))
VECTORS = pa.array(np.random.default_rng(0).normal(size=(N, 3)).tolist())
TEXTS = pa.array([f"t{n % 7}" for n in range(N)])
LISTS = pa.array([[f"t{n % 7}"] * (n % 4) for n in range(N)])


def _column(values: pa.Array, name: str = "x") -> ColumnProfile:
    return ColumnProfile(name, pa.chunked_array([values]), len(values))


def _kinds(column: ColumnProfile) -> dict[str, Guess]:
    return {kind: guess for kind in FEATURES.names if (guess := FEATURES.record(kind, "").guess(column))}


@pytest.mark.parametrize(
    ("values", "kinds", "best"),
    [
        (NUMBERS, {"numeric"}, "numeric"),
        (TEXTS, {"categorical"}, "categorical"),
        (LISTS, {"categorical"}, "categorical"),
        (VECTORS, {"categorical", "vector"}, "vector"),
    ],
)
def test_who_reads_a_column(values: pa.Array, kinds: set[str], best: str) -> None:
    column = _column(values)
    assert set(_kinds(column)) == kinds
    assert guess_feature(column, "x", "context").values["kind"] == best


def test_numbers_that_are_names_are_no_numbers() -> None:
    column = _column(NUMBERS)
    assert set(_kinds(replace(column, why_names="a key"))) == {"categorical"}
    assert guess_feature(column, "x", "context", is_key=True).values["kind"] == "categorical"
    assert guess_feature(_column(pa.array(range(N)), "shop_id"), "shop_id", "context").values["kind"] == "categorical"


class Angle(NumericFeature):
    """A kind of one's own, of the default rank."""

    kind: ClassVar[str] = "angle"

    @classmethod
    def guess(cls, column: Any) -> Guess | None:
        return Guess({"unit": "degrees"}, "named so") if "angle" in column.words else None


def test_a_kind_of_ones_own_comes_before_names_and_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    right = FEATURES.record
    monkeypatch.setattr(FEATURES, "_kinds", {**FEATURES._kinds, "angle": FEATURES._kinds["numeric"]})
    monkeypatch.setattr(FEATURES, "record", lambda kind, where: Angle if kind == "angle" else right(kind, where))
    entry = guess_feature(_column(NUMBERS, "angle"), "angle", "item")
    assert dict(entry.values) == {"kind": "angle", "name": "angle", "unit": "degrees", "side": "item"}
    assert guess_feature(_column(NUMBERS, "age"), "age", "item").values["kind"] == "numeric"


def test_the_proposal_names_no_kind() -> None:
    source = inspect.getsource(feature_guess)
    assert not [kind for kind in FEATURES.names if f'"{kind}"' in source]


@pytest.mark.parametrize(
    "values",
    [
        np.array([0, 13, 27]) * 86_400_000 + 1_600_000_000_000,
        pa.array([0, 13, 27], pa.int32()).cast(pa.date32()),
        pa.array(["2020-02-01 23:00", "2020-02-14T00:00:00Z", "2020-02-28"]),
        pa.array(np.array(["2020-02-01T01", "2020-02-14", "2020-02-28T02"], "datetime64[ns]")),
    ],
)
def test_the_days_between_the_first_and_the_last_time(values: Any) -> None:
    column = ColumnProfile("time", pa.chunked_array([pa.array(values)]), 3)
    assert roles.days_spanned(column) == pytest.approx(27.0)
    assert roles.days_spanned(ColumnProfile("time", pa.chunked_array([pa.array([1.0, 2.0])]), 2)) == 0.0
