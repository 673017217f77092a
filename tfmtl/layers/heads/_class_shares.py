"""Checks of class shares."""

from collections.abc import Sequence

from tfmtl.schema.checks import check_probability, error_text


def check_shares(owner: str, shares: object) -> None:
    """Raises unless `shares` holds the share of every class, two or more, each strictly between 0 and 1."""
    rule, advice = (
        "hold the share of each of two classes or more",
        "Give what the training labels say, as in (0.2, 0.8).",
    )
    if isinstance(shares, str) or not isinstance(shares, Sequence):
        raise TypeError(error_text(owner, "shares", rule, shares, advice))
    if len(shares) < 2:
        raise ValueError(error_text(owner, "shares", rule, shares, advice))
    for share in shares:
        check_probability(owner, "shares", share, advice)
    if abs(sum(shares) - 1.0) > 1e-3:
        raise ValueError(error_text(owner, "shares", "sum to 1", shares, advice))
