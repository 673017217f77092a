"""Self-contained HTML pages: styles and pictures are inside, nothing is loaded from the net."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tfmtl.report.figures import COLORS

_DPI = 150


def write_page(path: str | Path, template: str, facts: Mapping[str, Any], pictures: Mapping[str, Figure]) -> None:
    """Fills a template of the package and writes the page.

    Args:
        path: str or Path. The HTML file.
        template: str. Its name.
        facts: what the template shows.
        pictures: name -> figure; the template finds them in `pictures` as `data:` addresses.
    """
    environment = Environment(
        loader=PackageLoader("tfmtl.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"percent": percent, "number": number}
    shown = {name: _embedded(figure) for name, figure in pictures.items()}
    page = environment.get_template(template).render(**facts, pictures=shown, colors=COLORS)
    Path(path).write_text(page, encoding="utf-8")


def _embedded(figure: Figure) -> str:
    """The picture as a `data:` address."""
    packed = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(packed, format="png", dpi=_DPI, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(packed.getvalue()).decode()


def percent(share: float | None) -> str:
    """A share as people read it.

    Example:

    >>> percent(0.123), percent(0.0001), percent(None)
    ('12.3 %', '< 0.1 %', '–')
    """
    if share is None:
        return "–"
    if share == 0:
        return "0 %"
    return f"{share:.1%}".replace("%", " %") if share >= 0.001 else "< 0.1 %"


def number(value: float | None) -> str:
    """A metric at four places.

    Example:

    >>> number(0.51234), number(None)
    ('0.5123', '–')
    """
    return "–" if value is None else f"{value:.4f}"
