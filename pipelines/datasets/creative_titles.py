"""Titles of made-up ads, of which the order of the words says something and the words themselves nothing."""

from dataclasses import dataclass

import numpy as np

PAIRS = (
    ("fresh", "daily"),
    ("only", "today"),
    ("free", "try"),
    ("now", "save"),
    ("big", "summer"),
    ("best", "price"),
    ("new", "style"),
    ("easy", "home"),
)
_FILLERS = ("the", "a", "for", "you", "and", "with", "your", "at")
_PAIRS_OF_A_TITLE = 4


@dataclass(frozen=True)
class Titles:
    """Titles and the order of their pairs.

    Attributes:
        texts: list of str.
        signs: float `(n, pairs)`: 1 where the first word of a pair comes before the second, -1 the other way round, 0
            where the title does not have the pair.
    """

    texts: list[str]
    signs: np.ndarray


def draw_titles(generator: np.random.Generator, number: int) -> Titles:
    """Titles of four pairs of words, each in either order with a filler before it.

    Both words of a pair always occur together, and each order is as likely as the other: a count of words tells nothing
    about the signs.

    Args:
        generator: of the random numbers.
        number: int. How many.
    """
    chosen = np.argsort(generator.random((number, len(PAIRS))), axis=1)[:, :_PAIRS_OF_A_TITLE]
    orders = generator.integers(2, size=(number, _PAIRS_OF_A_TITLE)) * 2 - 1
    fillers = generator.integers(len(_FILLERS), size=(number, _PAIRS_OF_A_TITLE))
    signs = np.zeros((number, len(PAIRS)))
    np.put_along_axis(signs, chosen, orders, axis=1)
    texts = []
    for pairs, order, fill in zip(chosen.tolist(), orders.tolist(), fillers.tolist(), strict=True):
        words = [f"{_FILLERS[f]} {' '.join(PAIRS[p][::o])}" for p, o, f in zip(pairs, order, fill, strict=True)]
        texts.append(" ".join(words))
    return Titles(texts, signs)
