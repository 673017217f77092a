"""Whether the values of a column come again later."""

import numpy as np

from tfmtl.proposal.column_profile import ColumnProfile

_FEWEST_ROWS = 200
_EARLIER = 0.8  # share of the rows that lies before the others
_RECURS = 0.02  # of the later rows have a value that came before


def never_comes_again(column: ColumnProfile, times: ColumnProfile) -> bool:
    """Whether values that rows share are all new after a while, such as those of a session or a basket.

    What is learned of such a value is of no use later, and a network learns it by heart in place of what is. Columns
    with fewer than two rows a value say nothing here: in a sample, values that come again may look as if they did not.

    Args:
        column: any.
        times: the time of each row.
    """
    rows = np.flatnonzero((column.codes >= 0) & (times.codes >= 0)) if not column.is_list else np.empty(0, int)
    if len(rows) < max(_FEWEST_ROWS, 2 * column.distinct):
        return False
    if times.numbers is not None:
        moments = times.numbers[rows]
    else:  # ISO text has the order of the times
        moments = np.unique(np.asarray(times.text.to_numpy(zero_copy_only=False)[rows], str), return_inverse=True)[1]
    start = np.quantile(moments, _EARLIER)
    earlier, later = column.codes[rows[moments < start]], column.codes[rows[moments >= start]]
    return len(earlier) > 0 and bool(np.isin(later, earlier).mean() < _RECURS)
