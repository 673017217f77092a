"""The batcher of Predict requests: a bounded queue, batches, and threads that compute them."""

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from tfmtl.serving.server.batch_rows import Arrays, batch_key, merge_rows, split_rows
from tfmtl.serving.server.batching_options import BatchingOptions
from tfmtl.serving.server.odd_times import OddTimes
from tfmtl.serving.server.queued_request import Deliver, Outputs, QueuedRequest
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.server.server_metrics import ServerMetrics
from tfmtl.serving.serving_error import ServingError

logger = logging.getLogger(__name__)

_FORGET = 0.8  # from 32 clients to one takes eleven batches

_Answer: TypeAlias = tuple[QueuedRequest, Outputs | Exception]


@dataclass(eq=False, slots=True)
class _Batch:
    """Requests that will be computed together. It holds the model, so that no version goes before its requests."""

    model: ServedModel
    signature_name: str
    flow: "_Flow"
    key: Hashable
    due: float
    rows: int = 0
    requests: list[QueuedRequest] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class _Flow:
    """The requests of one signature of a version."""

    open: dict[Hashable, _Batch] = field(default_factory=dict)  # the batches that take further requests
    under_way: int = 0
    computing: int = 0
    most: int = 0  # under way since the last batch was taken
    expected: int = 0  # as many were lately under way at once


class RequestBatcher:
    """Computes predictions in threads of its own, requests that can share a batch together.

    Requests share a batch if they ask the same signature of the same version, all of whose inputs and outputs have a
    row for each example, and if their shapes agree but for the rows. Lists of different lengths agree too where the
    model is known to read filled-up lists as it reads shorter ones (`ServedModel.fills_lists`). The answer of a row may
    differ in the last bits of float32 from that of the row alone: matrix products of other sizes add in another order.
    If a batch fails, its requests are computed one by one, so that none fails for another's sake.

    May be asked by any thread. Close it when no request is under way.

    Args:
        options: BatchingOptions. `max_batch_size=1` computes every request alone.
        metrics: ServerMetrics. Told about batches and the queue.
        odd_times: OddTimes or None. Counts or refuses implausible times. Defaults to None, count them.
    """

    def __init__(self, options: BatchingOptions, metrics: ServerMetrics, odd_times: OddTimes | None = None) -> None:
        self._options = options
        self._metrics = metrics
        self._odd_times = odd_times or OddTimes(metrics)
        self._waiting: deque[_Batch] = deque()  # oldest first
        # Weak, for a batcher must not hold a version that is unloaded.
        self._flows: WeakKeyDictionary[ServedModel, dict[str, _Flow]] = WeakKeyDictionary()
        self._changed = threading.Condition()
        self._is_closing = False
        metrics.watch_queue(lambda: len(self._waiting))
        self._threads = [
            threading.Thread(target=self._work, name=f"predict-{number}", daemon=True)
            for number in range(options.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "RequestBatcher":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the threads after what waits has been computed."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    async def predict(
        self,
        model: ServedModel,
        signature_name: str,
        inputs: Arrays,
        output_filter: Sequence[str] = (),
        deadline: float | None = None,
    ) -> Outputs:
        """`submit` for event loops: returns the answer, and cancels the request if it is cancelled itself.

        Raises:
            ServingError: what `submit` raises or delivers.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outputs] = loop.create_future()

        def deliver(answer: Outputs | Exception) -> None:
            if not loop.is_closed():  # a closed loop has no one left who waits
                loop.call_soon_threadsafe(_resolve, future, answer)

        request = self.submit(model, signature_name, inputs, output_filter, deadline, deliver)
        try:
            return await future
        except asyncio.CancelledError:
            request.cancel()
            raise

    def submit(
        self,
        model: ServedModel,
        signature_name: str,
        inputs: Arrays,
        output_filter: Sequence[str],
        deadline: float | None,
        deliver: Deliver,
    ) -> QueuedRequest:
        """Has computed what `ServedModel.predict` returns for these arguments.

        Args:
            model: ServedModel. The version to ask.
            signature_name: str. Empty means `serving_default`.
            inputs: mapping of every input's name to an array.
            output_filter: names of the outputs to return; none returns all.
            deadline: float or None. On the clock of `time.monotonic`; a request that is still waiting then is not
                computed but answered with `DEADLINE_EXCEEDED`.
            deliver: see `QueuedRequest`.

        Returns:
            The request, which can be cancelled.

        Raises:
            ServingError: `RESOURCE_EXHAUSTED` if the queue is full, or what is wrong with the inputs.
        """
        signature = model.signature(signature_name)
        key: Hashable = None
        is_batchable = self._options.max_batch_size > 1 and model.is_batchable(signature.name)
        if is_batchable or self._odd_times.refuses:
            model.check(signature, inputs, output_filter)
            self._odd_times.check(model, inputs)
        if is_batchable:
            key = batch_key(inputs, model.fills_lists(signature.name))
        rows = next((len(array) for array in inputs.values() if array.ndim), 1)
        request = QueuedRequest(inputs, output_filter, rows, deadline, deliver)
        dead: list[QueuedRequest] = []
        try:
            with self._changed:
                self._enqueue(request, model, signature.name, key, dead)
        finally:
            _deliver([(each, _too_late()) for each in dead])
        return request

    def _enqueue(
        self,
        request: QueuedRequest,
        model: ServedModel,
        signature_name: str,
        key: Hashable,
        dead: list[QueuedRequest],
    ) -> None:
        """Adds to `dead` whom it threw out to make room."""
        limit = self._options.max_batch_size
        flow = self._flows.setdefault(model, {}).setdefault(signature_name, _Flow())
        batch = flow.open.get(key)
        if batch is not None and batch.rows + request.rows > limit:
            del flow.open[key]
            batch.due = 0.0
            self._changed.notify()
            batch = None
        if batch is None:
            if len(self._waiting) >= self._options.max_enqueued_batches:
                dead += self._throw_out_dead()
            if len(self._waiting) >= self._options.max_enqueued_batches:
                raise ServingError(
                    "RESOURCE_EXHAUSTED",
                    f"The server's queue is full: {len(self._waiting)} batches wait. Try again later, or ask fewer.",
                )
            wait = 1e-6 * self._options.batch_timeout_micros if key is not None else 0.0
            batch = _Batch(model, signature_name, flow, key, time.monotonic() + wait)
            self._waiting.append(batch)
            if key is not None:
                flow.open[key] = batch
            self._changed.notify()
        batch.requests.append(request)
        batch.rows += request.rows
        flow.under_way += 1
        flow.most = max(flow.most, flow.under_way)
        # As many requests are together as were recently in progress: waiting longer is of no use.
        if batch.rows >= limit or len(batch.requests) >= flow.expected - flow.computing:
            batch.due = 0.0
            self._changed.notify()

    def _throw_out_dead(self) -> list[QueuedRequest]:
        """Takes cancelled and late requests out of the queue, and batches of which nothing is left."""
        now = time.monotonic()
        dead: list[QueuedRequest] = []
        for batch in list(self._waiting):
            alive, late = _alive_and_dead(batch.requests, now)
            dead += late
            batch.flow.under_way -= len(late)
            batch.requests, batch.rows = alive, sum(request.rows for request in alive)
            if not alive:
                self._remove(batch)
        return dead

    def _remove(self, batch: _Batch) -> None:
        """Takes a batch out of the queue; no further request joins it."""
        self._waiting.remove(batch)
        if batch.flow.open.get(batch.key) is batch:
            del batch.flow.open[batch.key]

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            answers = self._answers(batch)
            with self._changed:
                batch.flow.under_way -= len(batch.requests)
                batch.flow.computing -= len(batch.requests)
            _deliver(answers)
            del batch, answers  # a waiting thread must not hold a version

    def _take(self) -> _Batch | None:
        """Waits for a batch that has waited long enough; None at the end."""
        with self._changed:
            # No batch in a variable while it waits: that would hold a version.
            while (due := self._seconds_to_next()) > 0.0:
                self._changed.wait(None if due == math.inf else due)
            now = math.inf if self._is_closing else time.monotonic()
            batch = next((batch for batch in self._waiting if batch.due <= now), None)
            if batch is None:
                return None
            self._remove(batch)
            flow = batch.flow
            # It falls slowly: of clients that come back at once, some are still on their way.
            flow.expected = max(flow.most, int(_FORGET * flow.expected))
            flow.most = flow.under_way
            flow.computing += len(batch.requests)
            return batch

    def _seconds_to_next(self) -> float:
        """Until there is a batch to compute, or the end."""
        if self._is_closing:
            return 0.0
        return min((batch.due for batch in self._waiting), default=math.inf) - time.monotonic()

    def _answers(self, batch: _Batch) -> list[_Answer]:
        asked, dead = _alive_and_dead(batch.requests, time.monotonic())
        answers: list[_Answer] = [(each, _too_late()) for each in dead]
        if asked:
            self._metrics.observe_batch(len(asked), sum(request.rows for request in asked))
        together = self._predict_together(batch, asked) if len(asked) > 1 else None
        for index, request in enumerate(asked):
            answers.append((request, together[index] if together else self._predict_alone(batch, request)))
        return answers

    def _predict_together(self, batch: _Batch, requests: Sequence[QueuedRequest]) -> list[Outputs] | None:
        """The answers, or None if the batch fails."""
        try:
            inputs = merge_rows([each.inputs for each in requests])
            outputs = batch.model.predict(batch.signature_name, inputs)
            self._note_times(batch.model, inputs)
            answers = split_rows(outputs, [request.rows for request in requests])
        # Whatever it is, the requests that are to blame will fail again when they are alone.
        except Exception as error:
            logger.debug("A batch of %d requests failed and is computed one by one. %s", len(requests), error)
            return None
        return [
            {name: rows[name] for name in request.output_filter or rows}
            for request, rows in zip(requests, answers, strict=True)
        ]

    def _predict_alone(self, batch: _Batch, request: QueuedRequest) -> Outputs | Exception:
        try:
            outputs = batch.model.predict(batch.signature_name, request.inputs, request.output_filter)
            self._note_times(batch.model, request.inputs)
            return outputs
        except Exception as error:  # it goes to the caller that waits for the answer
            return error

    def _note_times(self, model: ServedModel, inputs: Arrays) -> None:
        """Once a batch and not once a request: it is a tenth of the work around a small model."""
        if not self._odd_times.refuses:
            self._odd_times.note(model, inputs)


def _alive_and_dead(requests: Sequence[QueuedRequest], now: float) -> tuple[list[QueuedRequest], list[QueuedRequest]]:
    alive: list[QueuedRequest] = []
    dead: list[QueuedRequest] = []
    for request in requests:
        (alive if request.is_alive(now) else dead).append(request)
    return alive, dead


def _too_late() -> ServingError:
    return ServingError("DEADLINE_EXCEEDED", "The deadline passed while the request waited.")


def _deliver(answers: Sequence[_Answer]) -> None:
    """Has all answers made before any is sent: each that is sent lets other threads run in between."""
    for send in [_guarded(request.deliver, answer) for request, answer in answers if not request.is_cancelled]:
        if send is not None:
            _guarded(send)


def _guarded(act: Callable[..., Any], *arguments: Any) -> Any:
    """Calls `act`, whose failure must not keep the others from their answers."""
    try:
        return act(*arguments)
    except Exception:
        logger.exception("An answer could not be delivered.")
        return None


def _resolve(future: "asyncio.Future[Outputs]", answer: Outputs | Exception) -> None:
    if future.done():  # cancelled: no caller waits any more
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
