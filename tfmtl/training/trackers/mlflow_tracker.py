"""Track runs with MLflow."""

import math
import time
from collections.abc import Mapping

from tfmtl.training.trackers.tracker import RunFacts, Tracker

_MOST_PARAMS = 100  # that MLflow takes at once


class MlflowTracker(Tracker):
    """Tells MLflow of a run: options as parameters, metrics of every epoch.

    Where to is MLflow's own setting, such as the variable `MLFLOW_TRACKING_URI`. Nothing of MLflow's global state is
    touched, so that a program's own run stays active.

    Args:
        facts: `RunFacts`; its project is the experiment.
    """

    def __init__(self, facts: RunFacts) -> None:
        super().__init__(facts)
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient()

    def begin(self, run_id: str | None) -> str:
        from mlflow.entities import Param

        if run_id is not None:
            self._client.update_run(run_id, status="RUNNING")
            # A kill may have come between telling and remembering. An epoch's metrics are stored together.
            self.told = max((each.step for each in self._client.get_metric_history(run_id, "loss")), default=-1)
            return run_id
        found = self._client.get_experiment_by_name(self.facts.project)
        experiment = found.experiment_id if found else self._client.create_experiment(self.facts.project)
        run = self._client.create_run(experiment, run_name=self.facts.name, tags=dict(self.facts.tags))
        settings = [Param(name, str(value)) for name, value in self.facts.settings.items()]
        for start in range(0, len(settings), _MOST_PARAMS):
            self._client.log_batch(run.info.run_id, params=settings[start : start + _MOST_PARAMS])
        return str(run.info.run_id)

    def tell(self, metrics: Mapping[str, float], epoch: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        # A metric without a value, such as the AUC of one class, is no number in every store.
        told = [Metric(name, value, now, epoch) for name, value in metrics.items() if math.isfinite(value)]
        self._client.log_batch(self.run_id, metrics=told)

    def end(self) -> None:
        self._client.set_terminated(self.run_id)
