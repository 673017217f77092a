"""Run a plan on this machine: in this process, and in helping ones."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tfmtl.preprocessing.local.helper_process import HelperProcess
from tfmtl.preprocessing.local.merged_tables import MergedTables
from tfmtl.preprocessing.local.worker import Worker
from tfmtl.preprocessing.plan import Counts, Files, KeyedTables, Plan
from tfmtl.preprocessing.writing.pieces import Piece


def run(plan: Plan, files: Files, names: Mapping[str, str] | None = None, workers: int = 1) -> None:
    """Runs the plan; rows lie in temporary files between the steps, so that memory holds one bucket of users a process.

    This process works from the start; others take tasks as soon as they have started, and are not waited for. So a
    small log is done before they are ready, in the time that one process needs. The output is the same.

    Args:
        plan: `Plan`.
        files: number and path of each file.
        names: path -> what the output calls the file. Defaults to `None`: all are called by their paths.
        workers: int. Processes, this one included. Defaults to `1`.

    Raises:
        InputError: a file is not readable to its end, or no row is left for training.
    """
    names = names or {}
    with _crew(plan, names, workers) as crew:
        found = crew.do("read", list(files))
        pieces: list[Piece] = [piece for each, _, _ in found for piece in each]
        counts: list[Counts] = [count for _, each, _ in found for count in each]
        rejected: list[Counts] = [count for _, _, each in found for count in each]
        cuts = plan.find_cuts(_merged(plan.merge_times, (worker.times() for worker in crew.workers)))
        crew.do("count", [(piece, cuts) for piece in pieces])
        statistics = plan.fit(_merged(plan.merge_values, (worker.values() for worker in crew.workers)))
        places: dict[int, list[tuple[str, int, int]]] = {}
        for piece in pieces:
            for bucket, start, stop in piece.ranges:
                places.setdefault(bucket, []).append((piece.path, start, stop))
        shards = crew.do("write", [(*each, cuts, statistics) for each in sorted(places.items())])
        plan.finish([names.get(path, path) for _, path in files], statistics, counts, rejected, shards)


class _Crew:
    """This process and those that help it.

    Attributes:
        workers: those that have worked so far, this process first.
    """

    def __init__(self, own: Worker, helpers: list[HelperProcess]) -> None:
        self.workers: list[Any] = [own]
        self._starting = helpers
        self._threads = [threading.Thread(target=self._wait_for, args=(each,), daemon=True) for each in helpers]
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._tasks: deque[tuple[int, str, Sequence[Any]]] = deque()
        self._results: dict[int, Any] = {}
        self._busy = 0
        self._is_over = False
        for thread in self._threads:
            thread.start()

    def do(self, name: str, arguments: Sequence[Sequence[Any]]) -> list[Any]:
        """The results of `Worker`'s method of that name, called with each of `arguments` by whoever is free."""
        with self._changed:
            self._results = {}
            self._tasks.extend((number, name, given) for number, given in enumerate(arguments))
            self._changed.notify_all()
        while self._do_next(self.workers[0]):
            pass
        with self._changed:
            while self._busy and self._failure is None:
                self._changed.wait()
            if self._failure is not None:
                raise self._failure
        return [self._results[number] for number in range(len(arguments))]

    def end(self) -> None:
        """Ends the helpers."""
        with self._changed:
            self._is_over = True
            self._tasks.clear()
            self._changed.notify_all()
        for helper in self._starting:
            helper.end()
        for thread in self._threads:
            thread.join()

    def _do_next(self, worker: Any) -> bool:
        """Whether there was a task to do."""
        with self._changed:
            if self._failure is not None or not self._tasks:
                return False
            number, name, given = self._tasks.popleft()
            self._busy += 1
            if worker not in self.workers:
                self.workers.append(worker)
        try:
            result = getattr(worker, name)(*given)
        except BaseException as error:
            with self._changed:
                self._failure = self._failure or error
                self._busy -= 1
                self._changed.notify_all()
            return False
        with self._changed:
            self._results[number] = result
            self._busy -= 1
            self._changed.notify_all()
        return True

    def _wait_for(self, helper: HelperProcess) -> None:
        """A helper's thread: hands it tasks from when it is ready until the end."""
        try:
            helper.wait_until_ready()
        except (RuntimeError, ValueError) as error:  # ValueError: its pipe was closed, as the job is over
            with self._changed:
                self._failure = self._failure or (None if self._is_over else error)
            return
        while True:
            with self._changed:
                while not self._tasks and not self._is_over and self._failure is None:
                    self._changed.wait()
                if self._is_over or self._failure is not None:
                    return
            self._do_next(helper)


@contextmanager
def _crew(plan: Plan, names: Mapping[str, str], workers: int) -> Iterator[_Crew]:
    helpers = [HelperProcess(plan, names) for _ in range(workers - 1)]
    crew = _Crew(Worker(plan, names), helpers)
    try:
        yield crew
    finally:
        crew.end()


def _merged(merge: Callable[[Iterable[Any]], Any], parts: Iterable[KeyedTables]) -> KeyedTables:
    """The tables of all workers, which each has added up, added up by key."""
    parts = list(parts)
    if len(parts) == 1:
        return parts[0]
    whole = MergedTables(merge)
    for part in parts:
        whole.add(part.items())
    return whole.merged()
