"""Another process that does tasks of the same plan, asked by lines of JSON; rows and tables go through files.

    python -m tfmtl.preprocessing.local.helper_process

The plan is the first line of its standard input, every task another one, answered by a line. It ends with its input, so
that a job that was killed leaves none behind.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from tfmtl.data.transform_statistics import TransformStatistics
from tfmtl.preprocessing.local.worker import Worker
from tfmtl.preprocessing.plan import Cuts, KeyedTables, Plan
from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.preprocessing.writing.pieces import Piece, PieceWriter, read_table
from tfmtl.schema import Problem

_READY = "ready"


class HelperProcess:
    """A helper: `Worker`'s methods, done by another process.

    Args:
        plan: `Plan`.
        names: as of `Worker`.
    """

    def __init__(self, plan: Plan, names: Mapping[str, str]) -> None:
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115  what it prints, for an error; closed by `end`
        path = os.pathsep.join(each for each in sys.path if each)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tfmtl.preprocessing.local.helper_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        own = {each.name: getattr(plan, each.name) for each in fields(plan) if each.name != "problem"}
        self._send({"plan": {**own, "problem": plan.problem.to_dict()}, "names": dict(names)})
        self._folder: Path | None = None

    def wait_until_ready(self) -> None:
        """Waits for its imports, some seconds of one core."""
        self._receive()

    def read(self, number: int, path: str) -> tuple[list[Piece], list[Any], list[Any]]:
        pieces, counts, rejected = self._ask("read", number=number, path=path)
        return [_piece(each) for each in pieces], counts, rejected

    def times(self) -> KeyedTables:
        return _tables(self._ask("times"))

    def count(self, piece: Piece, cuts: Cuts) -> None:
        self._ask("count", piece=asdict(piece), cuts=asdict(cuts))

    def values(self) -> KeyedTables:
        return _tables(self._ask("values"))

    def write(self, bucket: int, places: Any, cuts: Cuts, statistics: TransformStatistics) -> Any:
        if self._folder is None:  # the same in every call
            self._kept = tempfile.TemporaryDirectory(prefix="tfmtl-transform-")
            self._folder = Path(self._kept.name)
            statistics.save(self._folder)
        return self._ask("write", bucket=bucket, places=places, cuts=asdict(cuts), statistics=str(self._folder))

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._said):
            if stream is not None:
                stream.close()
        if self._folder is not None:
            self._kept.cleanup()

    def _ask(self, task: str, **arguments: Any) -> Any:
        self._send({"task": task, **arguments})
        return self._receive()

    def _send(self, line: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(line) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:  # it has ended, which the missing answer tells
            return

    def _receive(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            last = self._said.read()[-2000:]
            raise RuntimeError(f"preprocess: a helping process ended with status {self._process.wait()}. {last}")
        answer = json.loads(line)
        if "refused" in answer:
            raise InputError(answer["refused"])
        if "failed" in answer:
            raise RuntimeError(f"preprocess: a helping process failed: {answer['failed']}")
        return answer["done"]


def _piece(plain: Mapping[str, Any]) -> Piece:
    return Piece(plain["path"], plain["num_rows"], tuple(tuple(place) for place in plain["ranges"]))


def _cuts(plain: Mapping[str, Any]) -> Cuts:
    first, second = plain["times"]
    return Cuts((first, second), tuple(plain["until"]))


def _tables(paths: list[Any]) -> KeyedTables:
    return {tuple(key): read_table(path) for key, path in paths}


# === In the other process ===


class _Tasks:
    """Does what the lines ask for."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        plan = Plan(**{**given["plan"], "problem": Problem.from_dict(given["plan"]["problem"])})
        self._worker = Worker(plan, given["names"])
        self._put: PieceWriter = plan.piece_writer()
        self._statistics: TransformStatistics | None = None

    def do(self, task: str, given: dict[str, Any]) -> Any:
        if task == "read":
            pieces, counts, rejected = self._worker.read(**given)
            return [asdict(each) for each in pieces], [dict(each) for each in counts], [dict(each) for each in rejected]
        if task == "count":
            return self._worker.count(_piece(given["piece"]), _cuts(given["cuts"]))
        if task == "write":
            if self._statistics is None:
                self._statistics = TransformStatistics.load(given["statistics"])
            written = self._worker.write(given["bucket"], given["places"], _cuts(given["cuts"]), self._statistics)
            return dict(written)
        tables = self._worker.times() if task == "times" else self._worker.values()
        return [(list(key), self._put.put_table(table)) for key, table in tables.items()]


def main() -> None:
    """Answers until there is nothing more to read; what is printed meanwhile goes to the standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    tasks = _Tasks(json.loads(sys.stdin.readline()))
    print(json.dumps({"done": _READY}), file=out, flush=True)
    for line in sys.stdin:
        given = json.loads(line)
        try:
            answer = {"done": tasks.do(given.pop("task"), given)}
        except InputError as error:
            answer = {"refused": str(error)}
        except Exception as error:  # told by the process that asked
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
