"""A search over options of training with Optuna: parallel, pruned, and gone on with after a kill."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.trial import FrozenTrial, Trial, TrialState

from tfmtl.core.folder_lock import locked_folder
from tfmtl.core.whole_file import whole_file
from tfmtl.data import PreparedData
from tfmtl.folders import TrainedRun
from tfmtl.pipelines.tuning.search_space import SearchSpace
from tfmtl.pipelines.tuning.trial_process import GO_ON, STOP
from tfmtl.training.monitor import default_monitor, monitor_direction

_NAME = "tfmtl"
_STATE, _BEST, _TRIALS = "study.db", "best.yaml", "trials"
_SEED_STEP = 1_000_003
TRIAL = (sys.executable, "-m", "tfmtl.pipelines.tuning.trial_process")
"""What trains a trial."""

_ERROR, _SEARCHED = "error", "searched"


class TuneFolder:
    """What lies where in the output of `tfmtl tune`.

    Args:
        path: Path. The folder; need not exist.

    Attributes:
        path: Path.
        state: Path. Optuna's database.
        best: Path. A run file of the best trial, for `tfmtl train --config`.
        page: Path. The report.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / _STATE
        self.best = path / _BEST
        self.page = path / "report.html"

    def trial(self, number: int) -> Path:
        """The run folder of a trial."""
        return self.path / _TRIALS / f"{number:04}"

    def log(self, number: int) -> Path:
        """What a trial's process printed."""
        return self.path / _TRIALS / f"{number:04}.log"


class Study:
    """A search in a folder.

    Every trial trains in a process of its own, so that TensorFlow starts anew and a crash ends one trial only. After
    every validation it asks whether to go on; below the median of the trials before, at the same epoch, it is told to
    stop. The values of a trial follow from the seed, its number and the trials that have ended by then: with one job a
    search that is repeated, or killed and gone on with, has the same trials.

    Args:
        data: `PreparedData`.
        output: Path. The folder.
        space: `SearchSpace`.
        seed: int.
        prune: whether trials are stopped early.
        jobs: trials at a time.
        command: what trains a trial. Defaults to the process that `trial_process` is.

    Raises:
        ValueError: the folder holds a search of other settings or data, or the data has no validation split.
    """

    def __init__(
        self,
        data: PreparedData,
        output: Path,
        space: SearchSpace,
        *,
        seed: int,
        prune: bool = True,
        jobs: int = 1,
        command: Sequence[str] = TRIAL,
    ) -> None:
        self.folder, self._data, self._space = TuneFolder(output), data, space
        self._seed, self._jobs, self._command = seed, jobs, list(command)
        monitor = space.fixed.monitor or default_monitor(data)
        if monitor is None:
            raise ValueError(
                f"tune: `data` must have validation examples to choose by. Received: data='{data.directory}'. Give its "
                "split a share for validation."
            )
        self.monitor, self.direction = monitor, monitor_direction(data.problem, monitor)
        searched = {
            "space": [vars(setting) for setting in space.settings],
            "fixed": space.fixed.to_dict(),
            "data": data.digest,
            "seed": seed,
        }
        self._searched = json.loads(json.dumps(searched))
        output.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruner = optuna.pruners.MedianPruner(n_startup_trials=4) if prune else optuna.pruners.NopPruner()
        self.optuna = optuna.create_study(
            storage=f"sqlite:///{self.folder.state}",
            study_name=_NAME,
            direction="maximize" if self.direction == "max" else "minimize",
            pruner=pruner,
            load_if_exists=True,
        )
        before = self.optuna.user_attrs.get(_SEARCHED)
        if before is None:
            self.optuna.set_user_attr(_SEARCHED, self._searched)
        elif before != self._searched:
            changed = [name for name in self._searched if before.get(name) != self._searched[name]]
            raise ValueError(
                f"tune: `output` must be a new folder, or that of the same search. Received: '{output}', which has "
                f"another {', '.join(changed)}. Give another folder."
            )
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        self._is_stopped = False

    @property
    def best(self) -> FrozenTrial | None:
        """The best trial that has ended, if one has."""
        ended = [each for each in self.optuna.trials if each.state == TrialState.COMPLETE]
        return self.optuna.best_trial if ended else None

    def run(self, trials: int, say: Callable[[str], None]) -> None:
        """Makes trials until there are as many; first goes on with those that were killed.

        An interrupt (Ctrl-C) ends the trials that are under way at once, as a kill would: they are not failed.

        Args:
            trials: int. All of the search, those of before included.
            say: where to tell of every trial in a sentence.
        """
        with locked_folder("tune", "output", self.folder.path):
            killed = [each for each in self.optuna.trials if each.state == TrialState.RUNNING]
            waiting = [Trial(self.optuna, each._trial_id) for each in killed]
            for each in killed:
                say(f"Trial {each.number} was stopped; it goes on.")

            def work() -> None:
                while True:
                    with self._lock:
                        if self._is_stopped:
                            return
                        trial = waiting.pop(0) if waiting else self._ask(trials)
                        if trial is None:
                            return
                        self.optuna.sampler = self._sampler(trial.number)
                        values = self._space.suggest(trial)
                    self._train(trial, values, say)

            with ThreadPoolExecutor(self._jobs) as pool:
                try:
                    for job in [pool.submit(work) for _ in range(self._jobs)]:
                        job.result()
                except BaseException:
                    self._stop()
                    raise
            self._write_best()

    def _stop(self) -> None:
        with self._lock:
            self._is_stopped = True
            for process in self._processes:
                process.kill()

    def _ask(self, trials: int) -> Trial | None:
        number = len(self.optuna.trials)
        if number >= trials:
            return None
        self.optuna.sampler = self._sampler(number)
        return self.optuna.ask()

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """Seeded anew for every trial, so that its values do not depend on how often the search was killed."""
        return optuna.samplers.TPESampler(seed=self._seed * _SEED_STEP + number, n_startup_trials=5)

    def _train(self, trial: Trial, values: Mapping[str, Any], say: Callable[[str], None]) -> None:
        shown = ", ".join(f"{name} {_shown(value)}" for name, value in values.items())
        try:
            options = {**self._space.options(values).to_dict(), "monitor": self.monitor}
            history, pruned = self._ask_process(trial, options)
        except (ValueError, TypeError, ChildError) as error:
            with self._lock:
                if self._is_stopped:
                    return
                trial.set_user_attr(_ERROR, str(error))
                self.optuna.tell(trial, state=TrialState.FAIL)
            say(f"Trial {trial.number} ({shown}) failed: {error}")
            return
        best = (max if self.direction == "max" else min)(history)
        with self._lock:
            if pruned:
                self.optuna.tell(trial, state=TrialState.PRUNED)
            else:
                self.optuna.tell(trial, best)
            self._drop_models()
        ended = f"stopped after {len(history)} validations" if pruned else f"{len(history)} validations"
        say(f"Trial {trial.number} ({shown}): {self.monitor} {best:.4f}, {ended}.")

    def _ask_process(self, trial: Trial, options: Mapping[str, Any]) -> tuple[list[float], bool]:
        """The metric of every validation, and whether the trial was stopped."""
        output, pruned = self.folder.trial(trial.number), False
        output.parent.mkdir(parents=True, exist_ok=True)
        job = {"data": str(self._data.directory), "output": str(output), "options": options}
        with self.folder.log(trial.number).open("ab") as log:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment(),
                text=True,
                start_new_session=True,  # Ctrl-C is for the search
            )
        with self._lock:
            self._processes.add(process)
            if self._is_stopped:
                process.kill()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            told: dict[str, Any] = {}
            known = set(self.optuna.trials[trial.number].intermediate_values)  # of before a kill
            asked = False
            for line in process.stdout:
                told = json.loads(line)
                if "epoch" not in told:
                    break
                with self._lock:
                    if told["epoch"] not in known:
                        trial.report(told["value"], told["epoch"])
                    pruned, asked = trial.should_prune(), True
                process.stdin.write(f"{STOP if pruned else GO_ON}\n")
                process.stdin.flush()
        except BrokenPipeError:
            told = {}
        finally:
            process.stdout.close()
            process.kill()
            process.wait()
            with self._lock:
                self._processes.discard(process)
        if "history" in told:
            with self._lock:  # a run that was finished before a kill asks no more
                return told["history"], pruned if asked else trial.should_prune()
        raise ChildError(told.get("error", f"its process ended; see '{self.folder.log(trial.number)}'"))

    def _environment(self) -> dict[str, str]:
        """Trials side by side share the cores."""
        variables = dict(os.environ)
        variables.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        if self._jobs > 1:
            threads = str(max(1, (os.cpu_count() or 1) // self._jobs))
            variables |= {"TF_NUM_INTRAOP_THREADS": threads, "OMP_NUM_THREADS": threads}
        return variables

    def _drop_models(self) -> None:
        """Of trials that have ended only the best one keeps its model; of all others the record is enough."""
        best = self.best
        for each in self.optuna.trials:
            if each.state.is_finished() and (best is None or each.number != best.number):
                run = TrainedRun(self.folder.trial(each.number))
                run.model.unlink(missing_ok=True)
                shutil.rmtree(run.tensorboard, ignore_errors=True)

    def _write_best(self) -> None:
        if self.best is None:
            return
        record = TrainedRun(self.folder.trial(self.best.number)).read_record("tune")
        options = {name: value for name, value in record["options"].items() if value not in (None, {})}
        text = yaml.safe_dump({"train": {"data": str(record["data"]), **options}}, sort_keys=False)
        about = (
            f"# Trial {self.best.number}: {self.monitor} {self.best.value}. tfmtl train --config {_BEST} -o <folder>\n"
        )
        with whole_file(self.folder.best) as partial:
            partial.write_text(about + text, encoding="utf-8")


class ChildError(RuntimeError):
    """A trial that could not be trained."""


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
