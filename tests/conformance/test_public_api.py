"""What may be imported from each subpackage is a promise: this list changes only on purpose."""

import importlib

import pytest

PUBLIC = {
    "tfmtl": {"data", "export", "layers", "losses", "metrics", "models", "schema", "training"},
    "tfmtl.data": {"DataError", "PreparedData", "RawTransform", "TransformStatistics"},
    "tfmtl.export": {"Verification", "VerificationError", "export", "verify"},
    "tfmtl.layers": {
        "BehaviourHypernetwork",
        "BinaryHead",
        "ConditionalTransformerBlock",
        "DTRNBottom",
        "ExpertBank",
        "FeatureEmbedding",
        "HyperSequenceEncoder",
        "MMoE",
        "MaskedSelfAttention",
        "MeanPooling",
        "RegressionHead",
        "SharedBottom",
        "SharedBottomRepresentation",
        "SingleTask",
        "SoftmaxGate",
        "StackedDense",
        "StackedMLP",
        "TargetAttention",
        "TaskRefinement",
        "TowerBank",
    },
    "tfmtl.losses": {"masked_binary_cross_entropy", "masked_squared_error"},
    "tfmtl.metrics": {
        "GroupedAUC",
        "HistogramAUC",
        "MaskedRMSE",
        "ReliabilityBin",
        "TaskReport",
        "evaluate_task",
        "expected_calibration_error",
        "grouped_auc",
        "log_loss",
        "mae",
        "normalized_entropy",
        "reliability_table",
        "rmse",
        "roc_auc",
    },
    "tfmtl.models": {
        "PRESETS",
        "MultiTaskModel",
        "dtrn",
        "from_preset",
        "load",
        "mmoe",
        "shared_bottom",
        "single_task",
    },
    "tfmtl.schema": {
        "SPLITS",
        "BinaryTask",
        "CategoricalFeature",
        "Clause",
        "Condition",
        "Feature",
        "Keys",
        "ModelInputs",
        "NumericFeature",
        "Problem",
        "ProblemError",
        "RegressionTask",
        "SequenceFeature",
        "Split",
        "Task",
    },
    "tfmtl.training": {"StopOnNaN", "TrainOptions", "TrainingError", "evaluate", "fit", "get_strategy", "predict"},
}


@pytest.mark.parametrize("module", PUBLIC)
def test_all_is_the_promised_list_and_every_name_is_there(module: str) -> None:
    package = importlib.import_module(module)
    assert set(package.__all__) == PUBLIC[module]
    for name in package.__all__:
        assert getattr(package, name) is not None
