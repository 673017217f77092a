"""The language of combined scores."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tfmtl.export.score import Score

TASKS = ("click", "buy", "watch")
VALUES = {"click": np.array([0.25, 0.5]), "buy": np.array([0.125, 1.0]), "watch": np.array([20.0, 3.0])}


@st.composite
def expressions(draw: st.DrawFn, depth: int = 4) -> tuple[str, np.ndarray]:
    """A text in full parentheses and its value."""
    kind = draw(st.sampled_from(["task", "number", "negative", "sum", "difference", "product"])) if depth else "task"
    if kind == "task":
        name = draw(st.sampled_from(TASKS))
        return name, VALUES[name]
    if kind == "number":
        number = draw(st.floats(0.0, 100.0).map(lambda value: round(value, 3)))
        return f"{number}", np.full(2, number)
    text, value = draw(expressions(depth - 1))
    if kind == "negative":
        return f"-({text})", -value
    other_text, other = draw(expressions(depth - 1))
    space = draw(st.sampled_from(["", " ", "\t"]))
    sign, result = {
        "sum": ("+", value + other),
        "difference": ("-", value - other),
        "product": ("*", value * other),
    }[kind]
    return f"({text}){space}{sign}{space}({other_text})", result


@given(expressions())
def test_any_expression(expression: tuple[str, np.ndarray]) -> None:
    text, value = expression
    if len(text) <= 900:
        np.testing.assert_allclose(Score(f"{text} + 0*click", TASKS).value(VALUES), value, rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("click*0.3 + click*buy*5", 0.25 * 0.3 + 0.25 * 0.125 * 5),
        ("click - buy - watch", 0.25 - 0.125 - 20.0),
        ("click / buy / 2", 1.0),
        ("click / (buy / 2)", 4.0),
        ("-click ** 2", -0.0625),
        ("(-click) ** 2", 0.0625),
        ("2 ** -click", 2.0**-0.25),
        ("click ** 2 ** 3", 0.25**8),
        ("--click", 0.25),
        ("1 + 2 * click ** 2", 1.125),
        ("(((watch)))", 20.0),
        (".5*watch + 1e1 + 2.", 22.0),
        ("  watch\n*2 ", 40.0),
    ],
)
def test_precedence_is_pythons(text: str, value: float) -> None:
    score = Score(text, TASKS)
    assert score.value(VALUES)[0] == pytest.approx(value, rel=1e-12)
    tensors = {name: tf.constant(values, tf.float32) for name, values in VALUES.items()}
    computed = score.value(tensors)
    assert computed.dtype == tf.float32
    assert float(computed[0]) == pytest.approx(value, rel=1e-6)


def test_a_task_may_be_a_word_of_python() -> None:
    assert Score("return * 2 + is", ("return", "is")).value({"return": 1.0, "is": 0.5}) == 2.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clik*2", "no task is called 'clik' at character 1 of 'clik*2'. Tasks: ['click', 'buy', 'watch']. "
                   "Did you mean 'click'?"),
        ("click + like", "no task is called 'like' at character 9 of 'click + like'."),
        ("click click", "expected an operator at character 7 of"),
        ("click)", "expected an operator at character 6 of"),
        ("(click", "expected ')' at character 7 of"),
        ("click +", "expected a number, a task or '(' at character 8 of"),
        ("", "expected a number, a task or '(' at character 1 of ''"),
        ("click * * buy", "expected a number, a task or '(' at character 9 of"),
        ("click % 2", "cannot read '%' at character 7 of"),
        ("click; buy", "cannot read ';' at character 6 of"),
        ("__import__(click)", "no task is called '__import__' at character 1 of"),
        ("open('x')", 'cannot read "\'" at character 6 of'),
        ("click.buy", "cannot read '.' at character 6 of"),
        ("click * 1e999", "the number is too large at character 9 of"),
        ("-" * 60 + "click", "nested deeper than 50 at character 51 of"),
        ("(" * 60 + "click" + ")" * 60, "nested deeper than 50 at character 51 of"),
        ("2 ** 3", "must name at least one task. Received: text='2 ** 3'."),
        ("click + 1/0", "must have a value. Received: text='click + 1/0'."),
        ("click + (-8) ** 0.5", "must have a value."),
        ("click + 9 ** 9 ** 9", "must have a value."),
        ("click" + " " * 1000, "must have at most 1000 characters."),
    ],
)  # fmt: skip
def test_errors_name_the_place(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        Score(text, TASKS)
    assert str(caught.value).startswith("Score: ")
    assert message in str(caught.value)
