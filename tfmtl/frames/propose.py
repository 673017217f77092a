"""Propose a problem for a data frame or files."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfmtl.frames.arrow_table import arrow_table, paths_of
from tfmtl.frames.proposed_problem import ProposedProblem
from tfmtl.proposal.proposal import propose as guess
from tfmtl.proposal.sample import SAMPLE_ROWS, read_sample, sample_of
from tfmtl.schema.checks import error_text


def propose(
    frame: Any,
    labels: str | Sequence[str] = (),
    *,
    user: str | None = None,
    time: str | None = None,
    item: str | None = None,
    name: str | None = None,
    rows: int = SAMPLE_ROWS,
) -> ProposedProblem:
    """Proposes a problem for a log: keys, features, sequences, tasks and split, each with its reason.

    It is what `tfmtl schema infer` writes. Every line is a guess: read it, above all for facts that are known only
    after the example and so must be no feature.

    Args:
        frame: pandas or polars DataFrame, Arrow table or its batches, or anything else with Arrow's stream interface;
            or a path, pattern or folder of CSV, TSV, JSON-lines or Parquet files, or a list of them.
        labels: columns to predict. Defaults to none: the proposal then names candidates.
        user: column of the user. Defaults to `None`: guessed, as are the next two.
        time: column of the time.
        item: column of what is shown or bought.
        name: str. Of the problem, and by default of the served model. Defaults to `None`: the file's, or `frame`.
        rows: int. Rows to look at, spread over the log. Defaults to `100_000`.

    Returns:
        `ProposedProblem`: shown as a table, taken by `tfmtl.prepare`, saved as a problem file by `save`.

    Raises:
        TypeError: the frame is no table and no path.
        ValueError: a named column does not exist or cannot be what it is named for, or no column is left as a feature.

    Example:

    >>> import pyarrow as pa, tfmtl
    >>> log = pa.table({"item": [f"i{n % 7}" for n in range(60)], "click": [n % 3 // 2 for n in range(60)]})
    >>> proposed = tfmtl.propose(log, labels="click", item="item")
    >>> [feature.name for feature in proposed.problem.features]
    ['item', 'item_click_rate']
    """
    wanted = [labels] if isinstance(labels, str) else list(labels)
    if not all(isinstance(label, str) for label in wanted):
        advice = "Give them as in labels=['click', 'buy']."
        raise TypeError(error_text("propose", "labels", "be names of columns", labels, advice))
    paths = paths_of(frame)
    if paths is None:
        sample = sample_of(arrow_table("propose", frame), rows)
        found = "frame"
    else:
        sample = read_sample(paths, rows, "propose")
        found = Path(paths[0]).name.split(".")[0] or Path(paths[0]).parent.name
    proposal = guess(sample, wanted, user, time, item, "propose")
    return ProposedProblem(proposal, sample, re.sub(r"\W+", "_", name or found))
