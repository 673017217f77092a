"""Spellings in columns that are hashed: no vocabulary shows that one value became two."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tfmtl.preprocessing.reading.noticed import noticed_columns
from tfmtl.schema import Problem
from tfmtl.values.spelling_forms import mixed_spellings

Forms = Mapping[str, Mapping[str, int]]
"""Column -> form -> values."""


def hashed_spellings(problem: Problem, read_counts: Sequence[Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """The forms in the hashed columns of a log, for the manifest.

    Args:
        problem: `Problem`.
        read_counts: counters of the batches that were read.
    """
    names = sorted({column for feature in problem.features for column in feature.hashed_columns})
    found = {name: noticed_columns(read_counts, f"spelling/{name}") for name in names}
    # Another column's name may begin with this one's and a slash; a form has none.
    return {name: {form: count for form, count in forms.items() if "/" not in form} for name, forms in found.items()}


def hashed_warnings(own: Forms, earlier: Forms, folder: str | None) -> list[str]:
    """A warning for every hashed column with one value in two spellings, in the log or only beside an earlier one.

    Args:
        own: what `hashed_spellings` returned for this log.
        earlier: the same for the log whose transformation is reused; empty if there is no such log, or if its output
            does not say.
        folder: str or None. Output folder of that log.
    """
    warnings = []
    for column, forms in own.items():
        found, beside = mixed_spellings(forms), ""
        if not found and column in earlier:
            found, beside = mixed_spellings(Counter(forms) + Counter(earlier[column])), f" together with '{folder}'"
        warnings += [
            f"column '{column}', which is hashed,{beside} {what}. Write them alike in the log." for what in found
        ]
    return warnings
