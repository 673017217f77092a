"""Write a proposal as a commented problem file."""

import re
import textwrap
from collections.abc import Mapping
from typing import Any

import yaml

from tfmtl.proposal.entry import Entry
from tfmtl.proposal.proposal import Proposal
from tfmtl.proposal.sample import Sample
from tfmtl.schema import Problem
from tfmtl.schema.read_yaml import read_yaml

_WIDTH = 118
_HISTORIES = (
    "These sequences depend on a label. They are right only if it is known at the time of its row's event (a click, "
    "not a purchase within a week). If so, remove the # and write known_at_event: true into the task."
)
_PLACEHOLDER = {"kind": "binary", "name": "stands_in_for_a_label"}


def problem_name(text: str) -> str:
    """The text as the name of a problem: other characters than letters and digits become `_`."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_") or "problem"
    return name if name[0].isalpha() else f"log_{name}"


def problem_text(proposal: Proposal, sample: Sample, name: str) -> str:
    """YAML with a reason behind every line; it has been read back by the project's own loader.

    Args:
        proposal: `Proposal`.
        sample: `Sample`, for the facts at the top.
        name: of the problem; other characters than letters and digits become `_`.
    """
    name = problem_name(name)
    files = f"{sample.files_read} of {sample.num_files} files" if sample.num_files > 1 else "one file"
    files = files if sample.num_files else "one table"
    lines = [
        f"# Proposed by tfmtl from {sample.rows.num_rows:,} rows, spread over {files} of about "
        f"{sample.total_rows:,} rows.",
        "# Every line is a guess with its reason: check them. Facts known only after the example must be no feature.",
        f"name: {name}",
        "",
    ]
    lines += _comment(proposal.key_reasons)
    lines += [f"keys: {plain_flow(proposal.keys)}"] if proposal.keys else []
    lines += ["", "features:", *_entries(proposal.features)]
    reasons: dict[str, list[str]] = {}
    for column, why in proposal.left_out.items():
        reasons.setdefault(why, []).append(_one_line(column))
    lines += _comment([f"{', '.join(columns)} {why}" for why, columns in reasons.items()], "not used: ", "  ")
    lines += _entries(proposal.derived)
    if proposal.sequences:
        lines += ["", "sequences:  # what the user did strictly before the example's time"]
        lines += _entries(proposal.sequences)
    if proposal.histories:
        lines += _comment([_HISTORIES], "", "  ")
        lines += [f"  # {line[2:]}" for line in _entries(proposal.histories)]
    lines += [""]
    if proposal.tasks:
        lines += ["tasks:", *_entries(proposal.tasks)]
        lines += ["  # These may be labels, too:" for _ in proposal.candidates[:1]]
    else:
        lines += ["tasks:  # all lines below are comments: remove the # from what to predict, or name labels"]
        lines += ["  # - {kind: binary, name: ...}" for _ in range(not proposal.candidates)]
    lines += [f"  # {line[2:]}" for line in _entries(proposal.candidates)]
    lines += ["", f"split: {plain_flow(proposal.split.values)}  # {proposal.split.why}"]
    if proposal.missing:
        lines += [
            f"missing: {plain_flow(proposal.missing)}  # texts that usually mean missing: remove those that are values"
        ]
    lines += ["", *_comment(proposal.notes)] if proposal.notes else []
    text = "\n".join(lines) + "\n"
    _check(proposal, name, text)
    return text


def _check(proposal: Proposal, name: str, text: str) -> None:
    """Raises `ProblemError` where the file would not load once labels are named."""
    Problem.from_dict(proposal.to_dict(name) | {"tasks": proposal.to_dict(name)["tasks"] or [_PLACEHOLDER]})
    if read_yaml(text) | {"tasks": None} != proposal.to_dict(name) | {"tasks": None}:
        raise RuntimeError(
            "problem_text: the proposed file cannot be read back. Please report this, with the log's header."
        )


def _entries(entries: list[Entry]) -> list[str]:
    return [f"  - {plain_flow(entry.values)}  # {_one_line(entry.why)}" for entry in entries]


def _comment(sentences: list[str], before: str = "", indent: str = "") -> list[str]:
    lines = []
    for sentence in sentences:
        start = f"{indent}# {before}"
        lines += textwrap.wrap(start + _one_line(sentence), _WIDTH, subsequent_indent=f"{indent}#   ")
    return lines


def _one_line(text: str) -> str:
    return " ".join(text.split())


def plain_flow(values: Any) -> str:
    """A value on one line of YAML."""
    values = dict(values) if isinstance(values, Mapping) else values
    return yaml.safe_dump(values, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9).strip()
