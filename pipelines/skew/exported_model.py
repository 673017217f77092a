"""What an export says about the data it was trained on."""

import json
from pathlib import Path

from tfmtl.data import PreparedData, RawTransform, TransformStatistics
from tfmtl.data.feature_profile import FeatureProfile
from tfmtl.export.saved_model import EXTRA, PROBLEM_FILE, PROFILE_FILE, STATISTICS_FILE
from tfmtl.export.versions import existing_versions
from tfmtl.schema import ModelInputs, Problem


class ExportedModel:
    """The versions of an exported model, and the reference that served features are compared with.

    Args:
        directory: Path. Output folder of `tfmtl export`.
        version: int or None. Whose reference to take. Defaults to None, the newest.
        data: Path or None. A data folder to take as the reference instead of what the export carries.

    Attributes:
        version: int.
        versions: int -> folder.
        inputs: `ModelInputs`.
        transform: `RawTransform`.
        profile: `FeatureProfile` of the training split.

    Raises:
        FileNotFoundError: there is no such version.
        ValueError: the version carries no reference, or `data` is for another model.
    """

    def __init__(self, directory: Path, version: int | None = None, data: Path | None = None) -> None:
        numbers = existing_versions(directory)
        if not numbers or version not in (None, *numbers):
            raise FileNotFoundError(
                f"skew: '{directory}' holds {'no version' if version is None else f'no version {version}'}; "
                f"there are: {numbers}. Give the output folder of `tfmtl export`."
            )
        self.versions = {number: directory / str(number) for number in numbers}
        self.version = numbers[-1] if version is None else version
        folder = self.versions[self.version]
        extra = folder / EXTRA
        for name in (PROBLEM_FILE, STATISTICS_FILE, PROFILE_FILE):
            if not (extra / name).is_file():
                raise ValueError(
                    f"skew: '{folder}' has no {name}, because an earlier release wrote it. Export it again."
                )
        problem = Problem.load(extra / PROBLEM_FILE)
        statistics = TransformStatistics.load(extra, folder / "assets")
        self.inputs: ModelInputs = statistics.model_inputs(problem)
        self.transform = RawTransform(problem, extra, folder / "assets")
        if data is None:
            self.profile = FeatureProfile.from_dict(json.loads((extra / PROFILE_FILE).read_text()))
        else:
            prepared = PreparedData(data)
            prepared.check_fitted_for("skew", self.inputs)
            self.profile = FeatureProfile.of_split(prepared, "train")
