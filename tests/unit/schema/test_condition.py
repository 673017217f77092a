"""The small grammar of row conditions, and that nothing is ever evaluated."""

import pytest

from tfmtl.schema import Clause, Condition, ProblemError, SequenceFeature
from tfmtl.schema.clause import AllOf, AnyOf, Not

A, B, C = Clause("a", "==", 1.0), Clause("b", "<", 2.0), Clause("c", "!=", "x")


def test_comparisons() -> None:
    condition = Condition(" rating>=4.5 and kind != 'a \"b\" and c' and age<-1e-3 ")
    assert condition.expression == AllOf(
        (Clause("rating", ">=", 4.5), Clause("kind", "!=", 'a "b" and c'), Clause("age", "<", -0.001))
    )
    assert condition.columns == ("rating", "kind", "age")


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("a == 1", A),
        ("a == 1 or b < 2 and c != 'x'", AnyOf((A, AllOf((B, C))))),
        ("(a == 1 or b < 2) and c != 'x'", AllOf((AnyOf((A, B)), C))),
        ("not a == 1 and b < 2", AllOf((Not(A), B))),
        ("not (a == 1 and not b < 2)", Not(AllOf((A, Not(B))))),
        ("((a == 1))", A),
        ("a in (1, -2.5)", Clause("a", "in", (1.0, -2.5))),
        ("a not in (\"x\", 'y z')", Not(Clause("a", "in", ("x", "y z")))),
        ("`unit price (€)` > 1", Clause("unit price (€)", ">", 1.0)),
        ("`and` == 1 and `not` in ('x')", AllOf((Clause("and", "==", 1.0), Clause("not", "in", ("x",))))),
        ("android == 1 and order == 2", AllOf((Clause("android", "==", 1.0), Clause("order", "==", 2.0)))),
        ("a == 1 or a == 2 or a == 3", AnyOf(tuple(Clause("a", "==", float(n)) for n in (1, 2, 3)))),
    ],
)
def test_expressions(text: str, expression: object) -> None:
    assert Condition(text).expression == expression


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
        "rating >= 4 or",
        "not",
        "not rating",
        "rating not 4",
        "and == 1",
        "4 <= rating",
        "rating in 1",
        "rating in (1, 2",
        "rating in ()",
        "(rating >= 4",
        "kind == 'cart",
        "rating >= 0x10",
        "my column == 1",
        "`` == 1",
        "`a == 1",
        "__import__('os').system('true')",
        "rating >= __import__('os')",
        "(lambda: 1)() == 1",
        "a.b == 1",
        "rating >= 4; import os",
        "a == 1 , b == 2",
        "a == 1 b == 2",
        "a == 1 andb == 2",
        "a == 1)",
    ],
)
def test_text_outside_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(ProblemError, match=r"Condition: (cannot read|expected `[^`]+`( or `[^`]+`)? before) .* in "):
        SequenceFeature("s", ("item",), when=text)


def test_text_has_no_order() -> None:
    with pytest.raises(ProblemError, match=r"text is compared with ==, != or `in` only\. Received: \"kind"):
        SequenceFeature("s", ("item",), when="kind >= 'cart'")


def test_one_kind_of_constants() -> None:
    with pytest.raises(ProblemError, match=r"the values after `in` must be all text or all numbers\. Received: \"a in"):
        Condition("a in (1, 'x')")


def test_a_bound_on_depth() -> None:
    Condition("(" * 49 + "a == 1" + ")" * 49)
    with pytest.raises(ProblemError, match="At most 50 may lie in one another"):
        Condition("not " * 10_000 + "a == 1")
