"""A proposed problem that shows itself with its reasons."""

from functools import cached_property
from pathlib import Path
from typing import Any

from tfmtl.display import Displayed, DisplayTable, Page
from tfmtl.proposal.entry import Entry
from tfmtl.proposal.problem_text import plain_flow, problem_name, problem_text
from tfmtl.proposal.proposal import Proposal
from tfmtl.proposal.sample import Sample
from tfmtl.schema import Problem
from tfmtl.schema.problem_file import PROBLEM_FILE

_AFTER = (
    "Every line is a guess with its reason: check them. What is known only after the example must be no feature. To "
    f"change a line: save('{PROBLEM_FILE}'), edit that file, and give '{PROBLEM_FILE}' to tfmtl.prepare."
)


class ProposedProblem(Displayed):
    """What `tfmtl.propose` returns: a problem and why it is so.

    Args:
        proposal: the guesses.
        sample: the rows that were looked at.
        name: str. Of the problem.

    Attributes:
        text: str. The problem file, with a reason behind every line.
        notes: list of str. What else the user should know.
        left_out: dict. Column -> why it is not used.
    """

    def __init__(self, proposal: Proposal, sample: Sample, name: str) -> None:
        self._proposal = proposal
        self._sample = sample
        self._name = problem_name(name)
        self.text = problem_text(proposal, sample, name)
        self.notes = list(proposal.notes)
        self.left_out = dict(proposal.left_out)

    @cached_property
    def problem(self) -> Problem:
        """The `Problem`.

        Raises:
            ValueError: no label was named.
        """
        if not self._proposal.tasks:
            names = [str(entry.values["name"]) for entry in self._proposal.candidates]
            shown = f" Candidates: {', '.join(names)}." if names else ""
            raise ValueError(f"propose: `labels` must name a column to predict. Received: no label.{shown}")
        return Problem.from_dict(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The mapping that `Problem.from_dict` reads, for changes in Python."""
        return self._proposal.to_dict(self._name)

    def save(self, path: str | Path) -> Path:
        """Writes the problem file, with its reasons, and returns its path."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text, encoding="utf-8")
        return path

    def page(self) -> Page:
        """The lines of the problem file as a table."""
        found = self._proposal
        kinds = {
            "feature": found.features,
            "derived feature": found.derived,
            "sequence": found.sequences,
            "task": found.tasks,
            "may be a task": found.candidates,
            "split": [found.split],
        }
        groups: list[list[tuple[str, ...]]] = [
            [("keys", "", plain_flow(found.keys)[1:-1], "; ".join(found.key_reasons))]
        ]
        groups += [[_row(kind, entry) for entry in entries] for kind, entries in kinds.items() if entries]
        if found.missing:
            groups.append([("missing", "", ", ".join(found.missing), "texts that usually mean missing")])
        groups.append([("not used", column, "", why) for column, why in found.left_out.items()])
        table = DisplayTable(("", "name", "proposed", "why"), [group for group in groups if group])
        rows = f"{self._sample.rows.num_rows:,} of about {self._sample.total_rows:,} rows looked at"
        return Page(f"Problem {self._name}: {rows}", [table, *(f"Note: {note}" for note in found.notes), _AFTER])


def _row(kind: str, entry: Entry) -> tuple[str, ...]:
    values = {**entry.values}
    name = str(values.pop("name", ""))
    return kind, name, plain_flow(values)[1:-1], entry.why
