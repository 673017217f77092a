"""Track runs with Weights & Biases."""

from collections.abc import Mapping
from typing import Any

from tfmtl.training.trackers.tracker import Tracker


class WandbTracker(Tracker):
    """Tells Weights & Biases of a run: options as its config, metrics of every epoch.

    Where to is its own setting: `WANDB_MODE=offline` keeps runs in `WANDB_DIR`.
    """

    _run: Any

    def begin(self, run_id: str | None) -> str:
        import wandb

        self._run = wandb.init(
            project=self.facts.project,
            name=self.facts.name,
            id=run_id,
            resume=None if run_id is None else "allow",
            config={**self.facts.settings, **self.facts.tags},
        )
        return str(self._run.id)

    def tell(self, metrics: Mapping[str, float], epoch: int) -> None:
        # Committed at once: else it would wait for the next epoch.
        self._run.log(dict(metrics), step=epoch, commit=True)

    def end(self) -> None:
        self._run.finish()
