"""The problem file: what is predicted, from which columns. Needs PyYAML and nothing else."""

from tfmtl.schema.categorical_feature import CategoricalFeature
from tfmtl.schema.clause import Clause
from tfmtl.schema.condition import Condition
from tfmtl.schema.dialect import Dialect
from tfmtl.schema.keys import Keys
from tfmtl.schema.model_inputs import ModelInputs
from tfmtl.schema.numeric_feature import NumericFeature
from tfmtl.schema.problem import Feature, Problem
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.sequence_feature import SequenceFeature
from tfmtl.schema.split import SPLITS, Split
from tfmtl.schema.tasks.binary import BinaryTask
from tfmtl.schema.tasks.label_window import LabelWindow
from tfmtl.schema.tasks.output import Output
from tfmtl.schema.tasks.regression import RegressionTask
from tfmtl.schema.tasks.survival import SurvivalTask
from tfmtl.schema.tasks.task_record import TaskRecord

__all__ = [
    "SPLITS",
    "BinaryTask",
    "CategoricalFeature",
    "Clause",
    "Condition",
    "Dialect",
    "Feature",
    "Keys",
    "LabelWindow",
    "ModelInputs",
    "NumericFeature",
    "Output",
    "Problem",
    "ProblemError",
    "RegressionTask",
    "SequenceFeature",
    "Split",
    "SurvivalTask",
    "TaskRecord",
]
