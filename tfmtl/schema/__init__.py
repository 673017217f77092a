"""The problem file: what is predicted, from which columns. Needs PyYAML and nothing else."""

from tfmtl.schema.clause import Clause
from tfmtl.schema.condition import Condition
from tfmtl.schema.dialect import Dialect
from tfmtl.schema.features.categorical import CategoricalFeature
from tfmtl.schema.features.feature_record import FeatureRecord
from tfmtl.schema.features.history import HistoryFeature
from tfmtl.schema.features.image import ImageFeature
from tfmtl.schema.features.match import MatchFeature
from tfmtl.schema.features.numeric import NumericFeature
from tfmtl.schema.features.rate import RateFeature
from tfmtl.schema.features.series import SeriesFeature
from tfmtl.schema.features.text import TextFeature
from tfmtl.schema.features.time_part import TimePartFeature
from tfmtl.schema.features.vector import VectorFeature
from tfmtl.schema.forms import EncodedTensor, RequestInput, View
from tfmtl.schema.keys import Keys
from tfmtl.schema.model_inputs import ModelInputs
from tfmtl.schema.problem import Problem
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.registry import register_feature, register_task
from tfmtl.schema.sequence_feature import SequenceFeature
from tfmtl.schema.split import SPLITS, Split
from tfmtl.schema.tasks.binary import BinaryTask
from tfmtl.schema.tasks.label_window import LabelWindow
from tfmtl.schema.tasks.multiclass import MulticlassTask
from tfmtl.schema.tasks.ordinal import OrdinalTask
from tfmtl.schema.tasks.output import Output
from tfmtl.schema.tasks.quantile import QuantileTask
from tfmtl.schema.tasks.regression import RegressionTask
from tfmtl.schema.tasks.survival import SurvivalTask
from tfmtl.schema.tasks.task_record import TaskRecord
from tfmtl.schema.tasks.zero_inflated import ZeroInflatedTask

__all__ = [
    "SPLITS",
    "BinaryTask",
    "CategoricalFeature",
    "Clause",
    "Condition",
    "Dialect",
    "EncodedTensor",
    "FeatureRecord",
    "HistoryFeature",
    "ImageFeature",
    "Keys",
    "LabelWindow",
    "MatchFeature",
    "ModelInputs",
    "MulticlassTask",
    "NumericFeature",
    "OrdinalTask",
    "Output",
    "Problem",
    "ProblemError",
    "QuantileTask",
    "RateFeature",
    "RegressionTask",
    "RequestInput",
    "SequenceFeature",
    "SeriesFeature",
    "Split",
    "SurvivalTask",
    "TaskRecord",
    "TextFeature",
    "TimePartFeature",
    "VectorFeature",
    "View",
    "ZeroInflatedTask",
    "register_feature",
    "register_task",
]
