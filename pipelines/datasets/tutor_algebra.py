"""Steps of an algebra tutor (KDD Cup 2010, Algebra I 2005-2006; a fifth of the students): right or wrong, then what.

114 students, 1,140 steps each on average and 7,021 at most; several skills a step. Times are seconds since the first
row of the year, so there is neither an hour nor a weekday.

- `correct` is known at the step itself, and may be read by the histories of later ones.
- `log_gap` is log(1 + seconds to the student's next step) within a sitting: longer gaps than half an hour, and the last
  step, have no label. `session_end` is 1 there. Both are known later, and read by nothing.
- Four in five items (problem and step) were seen by one student alone; the skills carry the signal.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.pipelines.datasets.local_files import local_dataset, read_csv_gz

_FILE = "steps.csv.gz"
_WHERE = (
    "The log is that of github.com/theophilegervet/learner-performance-prediction, data/algebra05. Write it as gzipped "
    "CSV with the columns user_id, item_id, time_s, skill_set, skills (joined by |), correct and next_gap_s."
)
_TYPES = {
    **dict.fromkeys(("user_id", "item_id", "time_s", "skill_set"), pa.int64()),
    "skills": pa.string(),
    "correct": pa.int8(),
    "next_gap_s": pa.float64(),
}
_SITTING = 1_800.0  # seconds


def _to_rows(content: bytes) -> pa.Table:
    rows = read_csv_gz(_FILE, content, _TYPES)
    rows = rows.sort_by([(key, "ascending") for key in ("time_s", "user_id", "item_id")])
    gaps = pc.fill_null(rows["next_gap_s"], np.inf).to_numpy()
    within = gaps <= _SITTING
    found = {name: rows[name] for name in ("user_id", "item_id", "time_s", "skill_set", "skills", "correct")}
    found["session_end"] = pa.array((~within).astype(np.int8))
    found["log_gap"] = pa.array(np.log1p(np.where(within, gaps, 0.0)).astype(np.float32), mask=~within)
    return pa.table(found)


TUTOR_ALGEBRA = local_dataset(
    name="tutor_algebra",
    summary="Algebra tutor, 129,998 steps with long histories (your copy): right or wrong, end of the session, pace",
    where=_WHERE,
    file=_FILE,
    to_rows=_to_rows,
)
