"""A run against another one on the same rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfmtl.data import PreparedData
from tfmtl.folders import TrainedRun
from tfmtl.models import MultiTaskModel, load
from tfmtl.training import predict
from tfmtl.training.intervals import compare


def load_baseline(run: Path, data: Path | None, prepared: PreparedData) -> MultiTaskModel:
    """The model of another run.

    Args:
        run: its folder.
        data: the data folder that both runs are measured on, where it was given.
        prepared: the data that the run which is compared is measured on.

    Raises:
        ValueError: it was trained on other data.
    """
    folder = TrainedRun(run)
    record = folder.read_record("evaluate")
    own = prepared if data is not None else PreparedData(record["data"])
    if own.digest != prepared.digest:
        raise ValueError(
            "evaluate: `--baseline` must be a run on the same prepared data, so that both are measured on the same "
            f"rows. Received: '{run}', trained on '{own.directory}', and not on '{prepared.directory}'. Train it "
            "there, or name a folder with the transformation of both by --data."
        )
    model = load(folder.model)
    prepared.check_fitted_for("evaluate", model.inputs)
    return model


def comparison(
    model: MultiTaskModel,
    data: PreparedData,
    split: str,
    predicted: Mapping[str, Any],
    resamples: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """As `tfmtl.training.intervals.compare` returns it.

    Args:
        model: of the other run.
        data: what both are measured on.
        split: str.
        predicted: what `predict` returned of the run which is compared.
        resamples: int.
        seed: int.
    """
    return compare(data, predicted, predict(model, data, split), resamples, seed)
