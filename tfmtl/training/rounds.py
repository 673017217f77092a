"""When a run is measured: after every epoch, or more often."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rounds:
    """Divides a run's steps into rounds, each of which ends with a validation. Keras calls a round an epoch.

    Args:
        steps: int. Steps of an epoch, one pass over the training split.
        epochs: int. Largest number of epochs.
        every: float or None. Steps of a round, or up to 1 its share of an epoch. Defaults to `None`: a round is an
            epoch.
    """

    steps: int
    epochs: int
    every: float | None = None

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.steps * self.epochs

    @property
    def length(self) -> int:
        """Steps of a round; the last one may be shorter."""
        if self.every is None:
            return self.steps
        wanted = round(self.steps * self.every) if self.every <= 1 else int(self.every)
        return min(max(1, wanted), self.total)

    @property
    def number(self) -> int:
        """Rounds of the whole run."""
        return -(-self.total // self.length)

    def place(self, round_number: int, step: int) -> tuple[int, int]:
        """The epoch, from 0, and the step inside it that a step of a round is."""
        return divmod(round_number * self.length + step, self.steps)

    def short_rounds(self, first: int, done: int) -> dict[int, int]:
        """Round -> its steps, of those shorter than the others.

        Args:
            first: int. The round that a run goes on with.
            done: int. Steps of it that are done.
        """
        last = self.number - 1
        lengths = {last: self.total - last * self.length}
        if done:
            lengths[first] = lengths.get(first, self.length) - done
        return {number: steps for number, steps in lengths.items() if steps != self.length}

    def shown(self, round_number: int) -> str:
        """The epochs that are done at the end of a round, for a reader."""
        done = min((round_number + 1) * self.length, self.total) / self.steps
        return f"{done:.0f}" if done == int(done) else f"{done:.2f}"
