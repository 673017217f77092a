"""The small grammar of row conditions, and that nothing is ever evaluated."""

import pytest

from tfmtl.schema import Clause, Condition, ProblemError, SequenceFeature


def test_clauses() -> None:
    condition = Condition(" rating>=4.5 and kind != 'a \"b\" and c' and age<-1e-3 ")
    assert condition.clauses == (
        Clause("rating", ">=", 4.5),
        Clause("kind", "!=", 'a "b" and c'),
        Clause("age", "<", -0.001),
    )
    assert condition.columns == ("rating", "kind", "age")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rating",
        "rating >=",
        ">= 4",
        "rating => 4",
        "rating = 4",
        "rating >= four",
        "rating >= 4 and",
        "4 <= rating",
        "rating in (1, 2)",
        "not rating >= 4",
        "kind == 'cart",
        "rating >= 0x10",
        "my column == 1",
        "__import__('os').system('true')",
        "rating >= __import__('os')",
        "(lambda: 1)() == 1",
        "a.b == 1",
        "rating >= 4; import os",
    ],
)
def test_text_outside_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(ProblemError, match=r"Condition: (cannot read|expected `and` before) "):
        SequenceFeature("s", ("item",), when=text)


@pytest.mark.parametrize("text", ["a == 1 or b == 2", "a == 1 , b == 2", "a == 1 b == 2", "a == 1 andb == 2"])
def test_only_conjunctions(text: str) -> None:
    with pytest.raises(ProblemError, match=r"Condition: expected `and` before .* Only conjunctions are supported"):
        SequenceFeature("s", ("item",), when=text)


def test_text_has_no_order() -> None:
    with pytest.raises(ProblemError, match=r"text is compared with == or != only\. Received: \"kind"):
        SequenceFeature("s", ("item",), when="kind >= 'cart'")
