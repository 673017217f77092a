"""Read a user's problem file, and add the features that `format: 2` implies."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from tfmtl.schema.checks import check_choice
from tfmtl.schema.features.feature_record import FeatureRecord
from tfmtl.schema.features.history import HistoryFeature
from tfmtl.schema.features.match import MatchFeature
from tfmtl.schema.problem import Problem
from tfmtl.schema.problem_checks import check_new_problem
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.read_yaml import read_yaml
from tfmtl.schema.registry import FEATURES
from tfmtl.schema.shown import shown

PROBLEM_FILE = "problem.yaml"
"""What a problem file is called beside its log, and in every folder that a step leaves."""

FORMATS = (1, 2)
DERIVED = ("default", "none")


def read_problem_file(path: str | Path) -> Problem:
    """The problem of a user's file, with the derived features that files of `format: 2` have without naming them.

    In such a file every sequence brings its `history` and, on its columns of names, its `match`, unless the file names
    these kinds for the sequence itself or says `derived: none`. Derived numbers enter once where a feature says neither
    `enters` nor `summed`. A file without `format` means what it says. The stored problem names everything:
    `Problem.load` adds nothing. A user's file is held to `check_new_problem`.

    Args:
        path: str or Path. YAML.

    Raises:
        ProblemError: with the file's name in front.
    """
    path = Path(path)
    if not path.is_file():
        return Problem.load(path)  # which says so
    try:
        mapping = read_yaml(path.read_text(encoding="utf-8"))
        return expanded(mapping) if isinstance(mapping, Mapping) else Problem.from_dict(mapping)
    except UnicodeDecodeError as error:
        raise ProblemError(f"{path}: not readable as UTF-8 text: {error}") from error
    except ProblemError as error:
        raise ProblemError(f"{path}: {error}") from error


def expanded(mapping: Mapping[str, Any]) -> Problem:
    """The problem of a file's content; see `read_problem_file`."""
    form, derived = mapping.get("format", 1), mapping.get("derived", "default")
    if form not in FORMATS or isinstance(form, bool):
        raise ProblemError(f"Problem: `format` must be one of {list(FORMATS)}. Received: format={shown(form)}.")
    check_choice("Problem", "derived", derived, DERIVED)
    if "derived" in mapping and form == 1:
        raise ProblemError(
            f"Problem: `derived` goes with `format: 2` only. Received: derived={shown(derived)}. Add the format."
        )
    mapping = {key: value for key, value in mapping.items() if key not in ("format", "derived")}
    if form == 2 and isinstance(mapping.get("features"), Sequence):
        mapping["features"] = [_once(each) for each in mapping["features"]]
    problem = Problem.from_dict(mapping)
    check_new_problem(problem)
    if form == 1 or derived == "none":
        return problem
    return replace(problem, features=(*problem.features, *_derived(problem)))


def _once(feature: Any) -> Any:
    """The feature as a file of `format: 2` means it: its derived numbers enter once where it does not say how."""
    if not isinstance(feature, Mapping) or feature.get("kind") not in FEATURES.names:
        return feature  # what is wrong with it is said where it is read
    may_choose = "enters" in {each.name for each in fields(FEATURES.record(feature["kind"], ""))}
    return {**feature, "enters": "once"} if may_choose and not {"enters", "summed"} & set(feature) else feature


def _derived(problem: Problem) -> list[FeatureRecord]:
    named = {(type(feature), feature.sources[0]) for feature in problem.features if feature.sources}
    found: list[FeatureRecord] = []
    for sequence in problem.sequences:
        if (HistoryFeature, sequence.name) not in named:
            found.append(HistoryFeature(sequence.name, enters="once"))
        # Numbers are seldom equal, and buckets of them are none of the event's own.
        names = tuple(
            name for name in sequence.columns if [each.dtype for each in problem.feature(name).inputs()] == ["string"]
        )
        if names and (MatchFeature, sequence.name) not in named:
            found.append(MatchFeature(sequence.name, names, enters="once"))
    return found
