"""What all kinds of tasks do whose label is one of several texts."""

from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.schema import ModelInputs, MulticlassTask, OrdinalTask
from tfmtl.tasks.label_columns import LabelColumns
from tfmtl.tasks.task_behavior import TaskBehavior

ClassRecord = TypeVar("ClassRecord", bound=MulticlassTask | OrdinalTask)

_PRIOR_COUNT = 1.0  # of every class, so that one that never occurs keeps a finite logit
_SHARES = "shares"


class ClassBehavior(TaskBehavior[ClassRecord]):
    """Reads classes and their shares; labels are the classes' places from 0."""

    def read_labels(self, raw: LabelColumns) -> dict[str, pa.Array]:
        """The place of every label among the classes, null where missing; another label is rejected."""
        name = str(self.record.label_column)
        texts = raw.text(name)
        places = pc.index_in(texts, pa.array(list(self.record.classes)))
        is_unknown = pc.and_(pc.is_valid(texts), pc.is_null(places))
        raw.reject(is_unknown, f"label '{name}' is none of the task's classes", texts)
        return {"": pc.cast(places, pa.float32())}

    def fit_labels(self, counts: pa.Table | None) -> dict[str, Any]:
        """The share of each class in the training labels, each a little above 0."""
        found = np.full(len(self.record.classes), _PRIOR_COUNT)
        if counts is not None:
            np.add.at(found, counts["value"].to_numpy().astype(int), counts["count"].to_numpy())
        return {_SHARES: [float(share) for share in found / found.sum()]}

    def shares(self, inputs: ModelInputs) -> list[float]:
        """The fitted shares, equal ones where nothing has been fitted."""
        state = inputs.task_state.get(self.record.name, {})
        return list(state.get(_SHARES, self.fit_labels(None)[_SHARES]))
