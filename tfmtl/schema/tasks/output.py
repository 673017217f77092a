"""The outputs of a task."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Output:
    """One output tensor of a task, always float32.

    Args:
        suffix: str. `""` is the score, `(B,)`, called as the task; any other is called `<task>__<suffix>`.
        inner: tuple of int or None. Shape behind the batch axis; None for a size that is fitted. Defaults to `()`: one
            number per row.
        text: str. Its meaning, for the page about the signatures. Defaults to `""`.
    """

    suffix: str = ""
    inner: tuple[int | None, ...] = ()
    text: str = ""
