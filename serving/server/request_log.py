"""The request log: a sample of the answered requests on disk."""

import logging
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
from tensorflow_serving.apis import prediction_log_pb2

from tfmtl.schema.checks import check_positive_number
from tfmtl.serving.protocol.tensor_proto import MAX_MESSAGE_BYTES, array_to_tensor
from tfmtl.serving.server.request_log_file import RequestLogFile, folder_bytes, recover, run_name

logger = logging.getLogger(__name__)

Arrays = Mapping[str, npt.NDArray[Any]]

_ENTRY_BYTES = 1024  # what an entry takes beside its arrays


class RequestLog:
    """Writes sampled Predict requests with their answers to TFRecord files of `PredictionLog`, as TF Serving does.

    Off unless a server is given one. Requests are handed to a thread of its own: none waits for the disk and none
    fails because of it. What the thread cannot keep up with, or the disk does not take, is dropped and counted. A
    file is written under a name that begins with a dot and renamed when it is full or old; what a killed server left
    under such a name is finished by the next one. Files are for this user alone, since requests tell about people.
    Several servers may share a folder. A full folder takes no more requests; nothing is removed from it.

    Use it as a context manager; `LocalServer` does.

    Args:
        folder: str or Path. Where the files go; made if it is not there.
        rate: float. The share of requests to log, above 0 and up to 1. Defaults to `0.01`.
        seed: int or None. Seed of the sampling. Defaults to None, a different sample in every run.
        max_file_bytes: int. Size in bytes at which a file is finished. Defaults to `67108864`.
        max_file_seconds: float. Age in seconds at which a file is finished. Defaults to `600.0`.
        max_waiting_bytes: int. Of the requests that wait to be written; one that would exceed it is dropped. Defaults
            to `67108864`.
        max_folder_bytes: int. Of the files in the folder; a new one is begun only below it. Defaults to
            `10737418240`, 10 GiB.

    Attributes:
        written: int. Requests in finished files.
        dropped: int. Requests that were sampled and will be in none.

    Raises:
        ValueError: if an argument is out of range.
        OSError: if the folder cannot be made.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        rate: float = 0.01,
        seed: int | None = None,
        max_file_bytes: int = 67108864,
        max_file_seconds: float = 600.0,
        max_waiting_bytes: int = MAX_MESSAGE_BYTES,
        max_folder_bytes: int = 10 * 2**30,
    ) -> None:
        if not 0.0 < rate <= 1.0:
            raise ValueError(
                f"RequestLog: `rate` must be above 0 and at most 1. Received: rate={rate!r}. "
                "0.01 logs one in a hundred."
            )
        for name, value in (
            ("max_file_bytes", max_file_bytes),
            ("max_file_seconds", max_file_seconds),
            ("max_waiting_bytes", max_waiting_bytes),
            ("max_folder_bytes", max_folder_bytes),
        ):
            check_positive_number("RequestLog", name, value)
        self.written = 0
        self.dropped = 0
        self._folder = Path(folder)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._rate = rate
        self._random = random.Random(seed)
        self._max_file_bytes = max_file_bytes
        self._max_file_seconds = max_file_seconds
        self._max_waiting_bytes = max_waiting_bytes
        self._max_folder_bytes = max_folder_bytes
        self._is_full = False
        self._lock = threading.Lock()
        self._waiting_bytes = 0
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._file: RequestLogFile | None = None
        self._run = run_name()
        self._num_files = 0
        self._unfinished = 0

    def __enter__(self) -> "RequestLog":
        self._thread = threading.Thread(target=self._write_until_closed, name="request-log", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None
            logger.info("Request log: %d requests in %s, %d dropped.", self.written, self._folder, self.dropped)

    def offer(self, model_name: str, version: int, signature_name: str, inputs: Arrays, outputs: Arrays) -> None:
        """Takes the request if it is one of the sample. Never waits and never raises.

        Args:
            model_name: str.
            version: int. The version that answered.
            signature_name: str.
            inputs: mapping of feature name to array. Not to be changed afterwards.
            outputs: mapping of output name to array, likewise.
        """
        if self._random.random() >= self._rate:
            return
        size = _ENTRY_BYTES + sum(map(_num_bytes, (*inputs.values(), *outputs.values())))
        with self._lock:
            if self._thread is None or self._waiting_bytes + size > self._max_waiting_bytes:
                self.dropped += 1
                return
            self._waiting_bytes += size
        self._queue.put(_Entry(model_name, version, signature_name, inputs, outputs, int(time.time()), size))

    # === The writing thread ===

    def _write_until_closed(self) -> None:
        self._guarded(self._recover)
        while True:
            try:
                entry = self._queue.get(timeout=None if self._file is None else self._file.seconds_left)
            except queue.Empty:
                self._guarded(self._finish_file)
                continue
            if entry is None:
                break
            self._unfinished += 1
            self._guarded(self._write, entry)
            with self._lock:
                self._waiting_bytes -= entry.size
        self._guarded(self._finish_file)

    def _guarded(self, act: Callable[..., None], *arguments: Any) -> None:
        """Whatever goes wrong, a full disk above all, costs the unfinished file and not the server."""
        try:
            act(*arguments)
        except Exception as error:
            if self._file is not None:
                self._file.discard()
                self._file = None
            lost, self._unfinished = self._unfinished, 0
            with self._lock:
                self.dropped += lost
            logger.warning("Request log: %d requests are lost. %s: %s", lost, type(error).__name__, error)

    def _recover(self) -> None:
        found = recover(self._folder)
        if found:
            logger.info("Request log: %d requests of servers that were killed are in %s.", found, self._folder)

    def _write(self, entry: "_Entry") -> None:
        if self._file is None:
            was_full, self._is_full = self._is_full, folder_bytes(self._folder) >= self._max_folder_bytes
            if self._is_full:
                self._unfinished = 0
                with self._lock:
                    self.dropped += 1
                if not was_full:
                    logger.warning(
                        "Request log: '%s' holds %d bytes or more, its limit. Take files away to go on.",
                        self._folder,
                        self._max_folder_bytes,
                    )
                return
            self._num_files += 1
            self._file = RequestLogFile(self._folder, self._run, self._num_files, self._max_file_seconds)
        self._file.write(entry.to_log(self._rate).SerializeToString())
        if self._file.num_bytes >= self._max_file_bytes or self._file.seconds_left <= 0.0:
            self._finish_file()
        elif self._queue.empty():
            self._file.flush()

    def _finish_file(self) -> None:
        if self._file is not None:
            self._file.finish()
            self._file = None
            self.written += self._unfinished
            self._unfinished = 0


@dataclass(frozen=True)
class _Entry:
    model_name: str
    version: int
    signature_name: str
    inputs: Arrays
    outputs: Arrays
    seconds: int
    size: int

    def to_log(self, rate: float) -> Any:
        """The `PredictionLog` message."""
        log = prediction_log_pb2.PredictionLog()
        for spec in (
            log.log_metadata.model_spec,
            log.predict_log.request.model_spec,
            log.predict_log.response.model_spec,
        ):
            spec.name, spec.version.value, spec.signature_name = self.model_name, self.version, self.signature_name
        log.log_metadata.timestamp_secs = self.seconds
        log.log_metadata.sampling_config.sampling_rate = rate
        log.log_metadata.saved_model_tags.append("serve")
        for name, array in self.inputs.items():
            array_to_tensor(array, log.predict_log.request.inputs[name])
        for name, array in self.outputs.items():
            array_to_tensor(array, log.predict_log.response.outputs[name])
        return log


def _num_bytes(array: npt.NDArray[Any]) -> int:
    return array.nbytes + (sum(map(len, array.flat)) if array.dtype == object else 0)
