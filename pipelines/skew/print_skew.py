"""What `tfmtl skew` found, on the screen."""

from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tfmtl.pipelines.skew.find_skew import Skew, SkewOptions
from tfmtl.pipelines.skew.score_check import ScoreCheck
from tfmtl.serving.server.request_times import FUTURE_EVENT, WRONG_UNIT

_MOST_COLUMNS = 25
_ODD_TIMES = {
    WRONG_UNIT: "were asked for at a time in another unit than training's",
    FUTURE_EVENT: "hold an event that is later than the request",
}


def print_skew(console: Console, skew: Skew, options: SkewOptions) -> None:
    """A row per column and a row per output and version; what exceeds a limit is in red."""
    logged = "" if skew.logged is None else f", logged {_when(skew.logged[0])} to {_when(skew.logged[1])}"
    console.print(
        f"{skew.requests:,} logged requests, {skew.rows:,} rows{logged}; compared with {skew.reference_rows:,} "
        f"training rows of version {skew.reference}."
    )
    if skew.times is not None:
        console.print(f"The requests say they were made at {skew.times[0]} to {skew.times[1]}, in the log's unit.")
    for what, rows in sorted(skew.odd_times.items()):
        console.print(f"[yellow]warning:[/yellow] {rows:,} rows {_ODD_TIMES[what]}.")
    table = Table(title="Features", title_justify="left")
    table.add_column("column", overflow="fold")
    for name in ("rows", "PSI", "by chance", "missing", "OOV", "length"):
        table.add_column(name, justify="right")
    for each in skew.drifts[:_MOST_COLUMNS]:
        table.add_row(
            escape(each.name),
            f"{each.rows:,}",
            _marked(f"{each.psi:.3f}", each.exceeds(options.max_psi)),
            f"{each.chance:.3f}",
            _change(each.missing, "{:.1%}"),
            _change(each.out_of_vocabulary, "{:.1%}"),
            _change(each.length, "{:.1f}"),
        )
    console.print(table)
    if len(skew.drifts) > _MOST_COLUMNS:
        console.print(f"... and {len(skew.drifts) - _MOST_COLUMNS} more columns that are closer to training")
    scores = Table("output", "against", title="Served scores", title_justify="left")
    for name in ("scores", "largest difference", f"beyond {options.max_difference:g}"):
        scores.add_column(name, justify="right")
    for version, check in sorted(skew.graphs.items()):
        _add_scores(scores, f"version {version}'s graph", check)
    if skew.training is not None:
        _add_scores(scores, "the training graph", skew.training)
    if scores.row_count:
        console.print(scores)
    for reason, count in skew.unchecked.most_common():
        console.print(f"[yellow]warning:[/yellow] scores of {count:,} requests not checked: {escape(reason)}.")
    if skew.foreign:
        console.print(f"[yellow]warning:[/yellow] {skew.foreign:,} requests have other features than the model.")
    for warning in skew.warnings:
        console.print(f"[yellow]warning:[/yellow] {escape(warning)}")
    console.print(_verdict(skew, options))


def _verdict(skew: Skew, options: SkewOptions) -> str:
    faults = []
    shifted = skew.shifted(options.max_psi)
    if shifted:
        names = ", ".join(escape(each.name) for each in shifted)
        faults.append(f"{len(shifted)} of {len(skew.drifts)} columns are not as in training: {names}.")
    if not skew.scores_are_right:
        faults.append("Served scores are not the graph's.")
    return f"[red]{' '.join(faults)}[/red]" if faults else "Nothing exceeds its limit."


def _add_scores(table: Table, against: str, check: ScoreCheck) -> None:
    for name, scores in check.scores.items():
        off = check.off[name]
        table.add_row(
            escape(name), against, f"{scores:,}", f"{check.largest[name]:.1e}", _marked(f"{off:,}", bool(off))
        )


def _marked(text: str, is_bad: bool) -> str:
    return f"[red]{text}[/red]" if is_bad else text


def _change(pair: tuple[float, float] | None, form: str) -> str:
    """In training, and served; nothing where both are nothing."""
    if pair is None or not any(pair):
        return ""
    return " → ".join(form.format(value) for value in pair)


def _when(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
