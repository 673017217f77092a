"""Forms in which texts spell bools and whole numbers, for columns without a vocabulary that would show them."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

VALUES, WHOLE, POINTED = "values", "whole numbers", "whole numbers with .0"
YES_NO = frozenset(("true", "false", "t", "f", "yes", "no"))
BITS = frozenset("01")

_WORDS = pa.array(sorted({form for word in YES_NO for form in (word, word.upper(), word.title())} | BITS), pa.string())
_BOOL_SHARE = 0.5  # of a column's values, from which words and bits in it are taken for bools


def spelling_forms(texts: pa.Array) -> dict[str, int]:
    """How often each form occurs: a bool's word or `0` and `1` as they stand, `WHOLE`, `POINTED`, and `VALUES` in all.

    Args:
        texts: strings; null is no value.

    Example:

    >>> spelling_forms(pa.array(["True", "1", "7.0", "v1", None]))
    {'values': 4, 'whole numbers': 1, 'whole numbers with .0': 1, '1': 1, 'True': 1}
    """
    texts = texts.drop_null()
    pointed = texts.filter(pc.ends_with(texts, ".0"))
    words = pc.value_counts(texts.filter(pc.is_in(texts, _WORDS))).to_pylist()
    return {
        VALUES: len(texts),
        WHOLE: pc.sum(pc.ascii_is_decimal(texts)).as_py() or 0,
        POINTED: pc.sum(pc.match_substring_regex(pointed, r"^-?\d+\.0$")).as_py() or 0,
    } | {pair["values"]: pair["counts"] for pair in sorted(words, key=lambda pair: str(pair["values"]))}


def mixed_spellings(forms: Mapping[str, int]) -> list[str]:
    """What seems to be spelled in two ways in a column, as ends of a sentence that begins with the column.

    Args:
        forms: sums of `spelling_forms`.

    Example:

    >>> mixed_spellings({"values": 9, "whole numbers": 5, "whole numbers with .0": 2})
    ["holds 5 whole numbers like '7' and 2 like '7.0', which are different values"]
    """
    found = []
    if forms.get(WHOLE) and forms.get(POINTED):
        found.append(
            f"holds {forms[WHOLE]:,} whole numbers like '7' and {forms[POINTED]:,} like '7.0', which are different "
            "values"
        )
    known = {text for text in _WORDS.to_pylist() if forms.get(text)}
    words = known - BITS
    is_mostly_bools = sum(forms[text] for text in known) >= _BOOL_SHARE * forms.get(VALUES, 0)
    if (is_mostly_bools and words and words != known) or is_cased(words):
        found.append(f"holds yes and no in several spellings, {sorted(known)}: a stored bool is read as 1 or 0")
    return found


def is_cased(texts: set[str]) -> bool:
    """Whether `true` or `false` stand there in more than one case."""
    forms = [text for text in texts if text.lower() in ("true", "false")]
    return len(forms) > len({text.lower() for text in forms})
