"""Join a retrieval index and a ranking model into one SavedModel."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfmtl.data.example_spec import user_signature
from tfmtl.export.score import Score
from tfmtl.export.serving_module import RANK
from tfmtl.export.transform_record import TransformRecord
from tfmtl.export.versions import new_version, newest_version
from tfmtl.folders import ExportedVersion
from tfmtl.retrieval.compose_options import ComposeOptions
from tfmtl.retrieval.recommend_module import ORDER, RecommendModule, score_names
from tfmtl.retrieval.recommend_page import add_recommend_page
from tfmtl.retrieval.reference_recommendations import reference_recommendation, write_golden_recommendations
from tfmtl.retrieval.retrieval_module import RETRIEVE, RETRIEVE_UNSEEN, SCORE
from tfmtl.schema import Problem
from tfmtl.schema.checks import error_text

_USERS = 8  # whose lists are kept as golden answers
_K = 10


def compose(
    retrieval: str | Path,
    ranking: str | Path,
    directory: str | Path,
    version: int | None = None,
    options: ComposeOptions | None = None,
    check: Callable[[Path], object] | None = None,
) -> Path:
    """Writes `<directory>/<version>/`, one SavedModel of both stages, and returns it.

    It has the signature `recommend` (see `RecommendModule`) and all signatures of the ranking. Beside it lies what lies
    beside the ranking, and `golden_recommend.jsonl`: real users with what calling one stage after the other answers,
    for `verify`; requests and warm-up for `recommend`; `compose.json`, what was joined and how. Written under another
    name and renamed.

    Args:
        retrieval: folder of versions that `fit_retrieval` wrote, of which the newest is taken, or one version.
        ranking: likewise of `export`.
        directory: base directory of the joined model's versions.
        version: int. Defaults to one above the newest, 1 at first.
        options: `ComposeOptions`. Defaults to `None`: all defaults.
        check: called with the complete folder before it gets its name, such as `verify`. Defaults to no check.

    Raises:
        FileNotFoundError: a folder holds no version.
        ValueError: a folder holds another model, the two were made of other problems or other vocabularies, or an
            option, the version or the directory does not fit.
        OSError: a file cannot be written; other versions are as they were.
    """
    options = options or ComposeOptions()
    sources = {
        "retrieval": newest_version("compose", "retrieval", Path(retrieval)),
        "ranking": newest_version("compose", "ranking", Path(ranking)),
    }
    problem, record = _checked(sources)
    item = str(record["item"])
    loaded = {name: tf.saved_model.load(str(source.path)) for name, source in sources.items()}
    retrieve, rank = _functions(loaded, sources, options)
    order_by = _order(problem, item, score_names(rank), options)
    for argument, source in sources.items():
        path = source.path
        if Path(directory).resolve() in (path.resolve(), path.parent.resolve()):
            rule = f"be another folder than that of the {argument} model"
            raise ValueError(error_text("compose", "directory", rule, str(directory), "Give a new folder."))
    with new_version("compose", Path(directory), version) as (written, final):
        name = RETRIEVE_UNSEEN if options.exclude_seen else RETRIEVE
        parts = (problem, item, loaded["retrieval"], name, loaded["ranking"], order_by, options.candidates)
        module = RecommendModule(*parts)
        tf.saved_model.save(module, str(written.path), signatures=module.signatures())
        shutil.copytree(sources["ranking"].extra, written.extra, dirs_exist_ok=True)
        users = _users(problem, sources["ranking"])
        lists = [
            reference_recommendation(problem, item, retrieve, rank, user, order_by, options.candidates, _K)
            for user in users
        ]
        write_golden_recommendations(users, _K, lists, written.golden_recommend)
        add_recommend_page(problem, item, record["items"], order_by, options, users, lists, written)
        facts = {
            **{name: str(source.path.resolve()) for name, source in sources.items()},
            **asdict(options),
            "order_by": order_by.text,
            "item": item,
            "task": record["task"],
        }
        written.composed.write_text(json.dumps(facts, indent=1) + "\n")
        if check is not None:
            check(written.path)
    return final


def _checked(sources: Mapping[str, ExportedVersion]) -> tuple[Problem, dict[str, Any]]:
    """The problem of both stages and the record of retrieval; raises unless both belong together."""
    wanted = {"retrieval": sources["retrieval"].retrieval, "ranking": sources["ranking"].golden}
    commands = {"retrieval": "tfmtl retrieve", "ranking": "tfmtl export"}
    for name, source in sources.items():
        for file in (wanted[name], source.fitted.problem, source.transform):
            if not file.is_file():
                rule = f"be a folder that `{commands[name]}` wrote, with {source.relative(file)}"
                raise ValueError(
                    error_text("compose", name, rule, str(source.path), f"Run `{commands[name]}` and take that.")
                )
    problems = {name: source.read_problem() for name, source in sources.items()}
    differing = _without_additions(problems["ranking"], problems["retrieval"]).differing_parts(problems["retrieval"])
    if differing:
        rule = f"be of one problem with the retrieval, but they differ in {', '.join(differing)}"
        raise ValueError(
            error_text("compose", "ranking", rule, str(sources["ranking"].path), "Train both on one data folder.")
        )
    records = {name: TransformRecord.load(source.transform) for name, source in sources.items()}
    if not records["ranking"].agrees_with(records["retrieval"]):
        rule = "have the vocabularies and statistics of the retrieval, as they are or extended"
        raise ValueError(
            error_text("compose", "ranking", rule, str(sources["ranking"].path), "Train both on one data folder.")
        )
    record: dict[str, Any] = json.loads(sources["retrieval"].retrieval.read_text())
    return problems["ranking"], record


def _without_additions(ranking: Problem, retrieval: Problem) -> Problem:
    """The ranking's problem without what `ranking_negatives` adds to that of retrieval."""
    known = {task.name for task in retrieval.tasks}
    return replace(
        ranking,
        features=tuple(feature for feature in ranking.features if feature.name != SCORE),
        tasks=tuple(task for task in ranking.tasks if task.name in known) or ranking.tasks,
    )


def _functions(
    loaded: Mapping[str, Any], sources: Mapping[str, ExportedVersion], options: ComposeOptions
) -> tuple[Any, Any]:
    """The signatures of the two stages, checked to fit together."""
    signatures = loaded["ranking"].signatures
    if RANK not in signatures:
        rule = f"have the signature '{RANK}'"
        advice = f"It has {sorted(signatures)}. Its problem needs features of side 'item'; export it anew."
        raise ValueError(error_text("compose", "ranking", rule, str(sources["ranking"].path), advice))
    wanted = RETRIEVE_UNSEEN if options.exclude_seen else RETRIEVE
    if wanted not in loaded["retrieval"].signatures:
        rule = "be False where no sequence of the problem carries the items' ids"
        raise ValueError(error_text("compose", "exclude_seen", rule, True, "Add the item to a sequence's columns."))
    return loaded["retrieval"].signatures[wanted], signatures[RANK]


def _order(problem: Problem, item: str, outputs: Sequence[str], options: ComposeOptions) -> Score:
    """The expression that orders the list."""
    for name in outputs:
        if name in (item, SCORE, ORDER, "k"):
            rule = f"have no output called '{item}', '{SCORE}', '{ORDER}' or 'k'"
            raise ValueError(error_text("compose", "ranking", rule, name, "Export it with the score renamed."))
    tasks = [task.name for task in problem.tasks if task.name in outputs]
    return Score(options.order_by or [*tasks, *outputs][0], [*outputs, SCORE])


def _users(problem: Problem, ranking: ExportedVersion) -> list[dict[str, Any]]:
    """The user side of some real requests."""
    lines = ranking.golden.read_text(encoding="utf-8").split("\n")[:_USERS]
    requests = [json.loads(line)["features"] for line in lines if line]
    return [{name: request[name] for name in user_signature(problem)} for request in requests]
