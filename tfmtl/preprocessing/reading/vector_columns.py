"""A column whose values are lists of numbers of one length."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.preprocessing.reading.rejections import Rejections
from tfmtl.values.arrow_text import cast_or_null, flatten, to_numbers, to_text
from tfmtl.values.plain_arrow import is_list


def read_vectors(
    name: str,
    column: pa.Array,
    size: int,
    separator: str,
    rejections: Rejections,
    has_gaps: bool = False,
    channels: int = 1,
) -> pa.Array:
    """Lists of `size` float32, null where the list is null, empty or NaN in every place; others are rejected.

    Args:
        name: str. The column's name, for the reasons.
        column: plain array of lists, or of texts.
        size: int.
        separator: str. What joins the numbers of a text.
        rejections: where rows of another length, or with something else than finite numbers, go.
        has_gaps: bool. Whether NaN and null are allowed in some places, where they stay NaN. Lists of lists are read
            as one then. Defaults to `False`.
        channels: int. Numbers in each of the lists of a list, since one of another layout may hold as many in all.
            Defaults to `1`.
    """
    if not is_list(column.type):
        text = pc.utf8_trim(pc.utf8_trim_whitespace(to_text(column)), "[]")
        column = pc.split_pattern(pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text), separator)
    values, rows = flatten(column)
    if has_gaps and is_list(values.type):
        steps = rows
        values, inner = flatten(values)
        rows = steps[inner]
        is_other = np.bincount(inner, minlength=len(steps)) != channels
        reason = f"column '{name}' is not {size // channels} lists of {channels} numbers"
        rejections.add(np.isin(np.arange(len(column)), steps[is_other]), reason)
    numbers = to_numbers(values)
    if numbers is None:
        texts = pc.utf8_trim_whitespace(to_text(values))
        numbers = cast_or_null(texts, pa.float64())
        is_lost = pc.and_(pc.is_valid(texts), pc.is_null(numbers)).to_numpy(zero_copy_only=False)
        rejections.add(
            np.isin(np.arange(len(column)), rows[is_lost]), f"column '{name}' holds something that is no number"
        )
    lengths = np.bincount(rows, minlength=len(column))
    is_wrong = (lengths != size) & (lengths != 0)
    rejections.add(is_wrong, f"column '{name}' is not {size} numbers long", pa.array(lengths))
    with np.errstate(over="ignore"):
        flat = pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False).astype(np.float32)
    whole = flat[~is_wrong[rows]].reshape(-1, size)
    is_present = np.zeros(len(column), bool)
    is_present[lengths == size] = ~np.isnan(whole).all(axis=1)
    whole = whole[is_present[lengths == size]]
    is_finite = ~np.isinf(whole).any(axis=1) if has_gaps else np.isfinite(whole).all(axis=1)
    is_odd = np.zeros(len(column), bool)
    is_odd[is_present] = ~is_finite
    rejections.add(is_odd, f"column '{name}' holds {'' if has_gaps else 'NaN or '}an infinity")
    is_present[is_odd] = False
    offsets = np.concatenate([[0], np.cumsum(is_present * size)]).astype(np.int32)
    items = pa.array(whole[is_finite].reshape(-1))
    return pa.ListArray.from_arrays(pa.array(offsets), items, mask=pa.array(~is_present))
