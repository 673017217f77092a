"""Telling what a run of several steps does."""

import time

from rich.console import Console


class Steps:
    """Numbers the steps, says each in a sentence.

    Args:
        console: where to tell.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._number = 0
        self.started = time.monotonic()

    def __call__(self, sentence: str) -> None:
        """Begins a step."""
        self._number += 1
        self._console.print(f"\n[bold]{self._number}. {sentence}.[/bold]")

    @property
    def seconds(self) -> float:
        """Since the first step."""
        return time.monotonic() - self.started
