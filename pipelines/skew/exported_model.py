"""What an export says about the data it was trained on."""

import json
from pathlib import Path

from tfmtl.data import PreparedData, RawTransform, TransformStatistics
from tfmtl.data.feature_profile import FeatureProfile
from tfmtl.folders import ExportedVersion
from tfmtl.folders.version_folders import find_versions
from tfmtl.schema import ModelInputs


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
        self.versions = find_versions(directory) if directory.is_dir() else {}
        numbers = sorted(self.versions)
        if not numbers or version not in (None, *numbers):
            raise FileNotFoundError(
                f"skew: '{directory}' holds {'no version' if version is None else f'no version {version}'}; "
                f"there are: {numbers}. Give the output folder of `tfmtl export`."
            )
        self.version = numbers[-1] if version is None else version
        folder = ExportedVersion(self.versions[self.version])
        folder.check_format("skew")
        for file in (folder.fitted.problem, folder.fitted.statistics, folder.profile):
            if not file.is_file():
                raise ValueError(
                    f"skew: '{folder.path}' has no {file.name}, because an earlier release wrote it. Export it again."
                )
        problem, fitted = folder.read_problem(), folder.fitted
        statistics = TransformStatistics.load(fitted.directory, fitted.vocabularies)
        self.inputs: ModelInputs = statistics.model_inputs(problem)
        self.transform = RawTransform(problem, fitted.directory, fitted.vocabularies)
        if data is None:
            self.profile = FeatureProfile.from_dict(json.loads(folder.profile.read_text()))
        else:
            prepared = PreparedData(data)
            prepared.check_fitted_for("skew", self.inputs)
            self.profile = FeatureProfile.of_split(prepared, "train")
