"""The shapes every layer over behavior sequences expects."""

from tfmtl.core.types import Shapes
from tfmtl.schema.checks import check_keys, check_shape, error_text


def check_sequence_shapes(owner: str, shapes: Shapes, *, with_queries: bool) -> None:
    """Raises unless `shapes` names behavior sequences `(B, J, L, D)` with a mask and, if asked, queries.

    Args:
        owner: str. The class that asks, named first in the error.
        shapes: Shapes by input name, as `build` receives them.
        with_queries: bool. Whether `queries`, of shape (B, J, D), are needed as well.
    """
    check_keys(owner, "inputs", shapes, ("events", "event_mask", *(("queries",) if with_queries else ())))
    events = tuple(shapes["events"])
    check_shape(owner, "events", events, "B, J, L, D")
    expected = {"event_mask": events[1:3]}
    if with_queries:
        expected["queries"] = (events[1], events[3])
    for name, sizes in expected.items():
        if tuple(shapes[name])[1:] != sizes:
            rule = f"have shape (B, {', '.join(map(str, sizes))})"
            advice = f"It has to fit events.shape={events}."
            raise ValueError(error_text(owner, f"{name}.shape", rule, tuple(shapes[name]), advice))
