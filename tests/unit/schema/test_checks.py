"""Every check passes good values and explains bad ones in the one wording."""

import math
import re

import pytest

from tfmtl.schema.checks import (
    check_axis,
    check_bool,
    check_keys,
    check_nonnegative_number,
    check_number,
    check_one_of,
    check_positive_int,
    check_positive_ints,
    check_positive_number,
    check_probability,
    check_rate,
    check_shape,
    did_you_mean,
    error_text,
)


def raises(error: type[Exception], text: str):
    return pytest.raises(error, match=f"^{re.escape(text)}$")


def test_error_text_is_the_template() -> None:
    text = error_text("Layer", "units", "be a positive int", "8", "Use 1 or more.")
    assert text == "Layer: `units` must be a positive int. Received: units='8'. Use 1 or more."


def test_a_long_value_is_cut() -> None:
    values = list(range(100_000))
    for check in (check_positive_int, check_number):
        with pytest.raises(TypeError, match=re.escape("Received: a=[0, 1, 2, ")) as raised:
            check("Layer", "a", values)
        assert len(str(raised.value)) < 600
        assert "... (more than 10,000 values) (list). Use" in str(raised.value)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (check_positive_int, 1),
        (check_positive_ints, (8,)),
        (check_positive_ints, [8, 4]),
        (check_bool, False),
        (check_number, -1),
        (check_number, 0.5),
        (check_positive_number, 1e-9),
        (check_nonnegative_number, 0),
        (check_rate, 0),
        (check_rate, 0.99),
        (check_probability, 0.001),
    ],
)
def test_good_values_pass(check, value) -> None:
    assert check("Layer", "argument", value) is None


@pytest.mark.parametrize(
    ("check", "value", "error", "rule"),
    [
        (check_positive_int, 0, ValueError, "be a positive int. Received: a=0."),
        (check_positive_int, 2.0, TypeError, "be a positive int. Received: a=2.0 (float)."),
        (check_positive_int, True, TypeError, "be a positive int. Received: a=True (bool)."),
        (check_positive_ints, 8, TypeError, "be a non-empty sequence of positive ints. Received: a=8 (int)."),
        (check_positive_ints, "88", TypeError, "be a non-empty sequence of positive ints. Received: a='88' (str)."),
        (check_positive_ints, (8, 4.0), TypeError, "of positive ints. Received: a=(8, 4.0) (tuple)."),
        (check_positive_ints, (), ValueError, "be a non-empty sequence of positive ints. Received: a=()."),
        (check_positive_ints, (8, 0), ValueError, "of positive ints. Received: a=(8, 0)."),
        (check_bool, "false", TypeError, "be a bool. Received: a='false' (str)."),
        (check_number, "1", TypeError, "be a finite number. Received: a='1' (str)."),
        (check_number, True, TypeError, "be a finite number. Received: a=True (bool)."),
        (check_number, math.nan, ValueError, "be a finite number. Received: a=nan."),
        (check_number, math.inf, ValueError, "be a finite number. Received: a=inf."),
        (check_positive_number, 0.0, ValueError, "be a positive number. Received: a=0.0."),
        (check_nonnegative_number, -1e-9, ValueError, "be at least 0. Received: a=-1e-09."),
        (check_rate, 1.0, ValueError, "lie in [0, 1). Received: a=1.0."),
        (check_rate, -0.1, ValueError, "lie in [0, 1). Received: a=-0.1."),
        (check_rate, None, TypeError, "be a finite number. Received: a=None (NoneType)."),
        (check_probability, 0.0, ValueError, "lie strictly between 0 and 1. Received: a=0.0."),
        (check_probability, 1, ValueError, "lie strictly between 0 and 1. Received: a=1."),
    ],
)
def test_bad_values_are_explained(check, value, error: type[Exception], rule: str) -> None:
    with pytest.raises(error, match=re.escape(rule)) as raised:
        check("Layer", "a", value)
    text = str(raised.value)
    assert text.startswith("Layer: `a` must ")
    assert re.search(r"\. Use .+\.$", text), "the last sentence says what to do"


def test_unknown_choice_lists_all_and_names_the_nearest() -> None:
    check_one_of("Layer", "pooling", "mean", ("mean", "target"))
    text = "Layer: `pooling` must be one of ['mean', 'target']. Received: pooling='Meen'. Use one of these."
    with raises(ValueError, f"{text} Did you mean 'mean'?"):
        check_one_of("Layer", "pooling", "Meen", ("mean", "target"))
    with raises(ValueError, text.replace("Meen", "xyz")):
        check_one_of("Layer", "pooling", "xyz", ("mean", "target"))
    assert did_you_mean("clik", ["click", "buy"]) == " Did you mean 'click'?"
    assert did_you_mean(None, ["click", "buy"]) == ""


def test_shape() -> None:
    check_shape("Layer", "x", [None, 3, 4], "B, F, D")
    rule = "Layer: `x.shape` must be (B, F, D) with all but the first known. Received: x.shape="
    advice = "Give `x` this static shape before the call."
    for bad in ((None, 4), (None, None, 4), (2, 3, None), (None, 1, 3, 4)):
        with raises(ValueError, f"{rule}{bad!r}. {advice}"):
            check_shape("Layer", "x", bad, "B, F, D")


def test_axis() -> None:
    check_axis("Layer", "x", (None, 1, 4), 1, (1, 3), "Repeat it.")
    text = "Layer: `x.shape` must have size 1 or 3 on axis 1. Received: x.shape=(None, 2, 4). Repeat it."
    with raises(ValueError, text):
        check_axis("Layer", "x", (None, 2, 4), 1, (1, 3), "Repeat it.")
    with pytest.raises(ValueError, match="have size 1 on axis 1"):
        check_axis("Layer", "x", (None, 2, 4), 1, (1, 1), "Repeat it.")


def test_keys() -> None:
    check_keys("Layer", "inputs", {"events": (), "other": ()}, ("events",))
    text = "Layer: `inputs` must be a dict with the keys ['events', 'mask']. Received: inputs=['events']. Add ['mask']."
    with raises(ValueError, text):
        check_keys("Layer", "inputs", {"events": ()}, ("events", "mask"))
    with pytest.raises(TypeError, match=r"Received: inputs=\(None, 3\) \(tuple\)"):
        check_keys("Layer", "inputs", (None, 3), ("events",))
