"""A figure that a notebook shows, whatever its backend is set to."""

import io

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A matplotlib figure with a picture of itself as the result of a cell."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=80)
        return picture.getvalue()
