"""The shapes every bottom expects."""

from tfmtl.core.types import Shapes
from tfmtl.schema.checks import check_keys, check_shape, error_text


def check_bottom_shapes(owner: str, shapes: Shapes) -> None:
    """Raises unless `shapes` names fields `(B, F, D)`, and any events in it have the same width D."""
    check_keys(owner, "inputs", shapes, ("fields",))
    fields = tuple(shapes["fields"])
    check_shape(owner, "fields", fields, "B, F, D")
    if "events" in shapes:
        events = tuple(shapes["events"])
        if events[-1] != fields[-1]:
            rule = f"have the fields' width {fields[-1]}"
            advice = "Embed events and fields at the same width."
            raise ValueError(error_text(owner, "events.shape", rule, events, advice))


def num_vectors(shapes: Shapes) -> int:
    """Returns how many vectors of width D a bottom holds for each task: the fields and one per behavior."""
    behaviors: int = shapes["events"][1] if "events" in shapes else 0
    fields: int = shapes["fields"][1]
    return fields + behaviors
