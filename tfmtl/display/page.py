"""Tables and sentences as HTML for a notebook, and as text for a terminal."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH = 120  # columns of a terminal, at which text is folded
_STYLE = "text-align: {side}; vertical-align: top; white-space: normal; max-width: 60ch"

Row = Sequence[str]


@dataclass(frozen=True)
class DisplayTable:
    """Cells of text.

    Args:
        headings: of the columns.
        groups: rows; a line is drawn between groups.
        title: str. Defaults to none.
        has_numbers: bool. Whether all columns but the first hold numbers, which are aligned to the right. Defaults to
            `False`.

    Example:

    >>> table = DisplayTable(("task", "AUC"), [[("click", "0.71"), ("buy <new>", "0.68")]], has_numbers=True)
    >>> "buy &lt;new&gt;" in table.html()
    True
    """

    headings: Sequence[str]
    groups: Sequence[Sequence[Row]]
    title: str = ""
    has_numbers: bool = False

    def html(self) -> str:
        """The table as HTML; every text is escaped."""
        head = f"<thead>{self._row('th', self.headings)}</thead>"
        bodies = ["".join(self._row("td", row) for row in group) for group in self.groups]
        title = _paragraph(self.title, "b") if self.title else ""
        return f"{title}<table>{head}{''.join(f'<tbody>{body}</tbody>' for body in bodies)}</table>"

    def rich(self) -> Any:
        """The table as `rich` prints it."""
        from rich.table import Table
        from rich.text import Text

        title = Text(self.title, "bold") if self.title else None
        table = Table(title=title, title_justify="left")
        for number, heading in enumerate(self.headings):
            table.add_column(heading, justify="right" if self.has_numbers and number else "left", overflow="fold")
        for group in self.groups:
            for row in group:
                table.add_row(*map(Text, row))
            table.add_section()
        return table

    def _row(self, kind: str, texts: Iterable[str]) -> str:
        sides = ("right" if self.has_numbers and number else "left" for number in range(len(self.headings)))
        cells = (
            f'<{kind} style="{_STYLE.format(side=side)}">{escape(text)}</{kind}>'
            for side, text in zip(sides, texts, strict=True)
        )
        return f"<tr>{''.join(cells)}</tr>"


@dataclass(frozen=True)
class Page:
    """A title, and below it tables and sentences in their order, then warnings.

    Args:
        title: str.
        parts: tables and sentences.
        warnings: sentences that the reader must not miss. Defaults to none.
    """

    title: str
    parts: Sequence[DisplayTable | str]
    warnings: Sequence[str] = ()

    def html(self) -> str:
        """The page as HTML; every text is escaped."""
        parts = [part.html() if isinstance(part, DisplayTable) else _paragraph(part) for part in self.parts]
        warnings = [_paragraph(f"Warning: {warning}", "b") for warning in self.warnings]
        return f"<div>{_paragraph(self.title, 'b')}{''.join([*parts, *warnings])}</div>"

    def text(self) -> str:
        """The page as plain text of at most 120 columns."""
        from rich.console import Console
        from rich.text import Text

        out = io.StringIO()
        console = Console(file=out, width=WIDTH, color_system=None, highlight=False, force_jupyter=False)
        console.print(Text(self.title))
        for part in self.parts:
            console.print(part.rich() if isinstance(part, DisplayTable) else Text(part))
        for warning in self.warnings:
            console.print(Text(f"Warning: {warning}"))
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


class Displayed:
    """What shows itself as a page; `page` says how."""

    def page(self) -> Page:
        """What is shown."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return self.page().html()

    def __repr__(self) -> str:
        return self.page().text()


def _paragraph(text: str, kind: str = "span") -> str:
    return f"<p><{kind}>{escape(text)}</{kind}></p>"
