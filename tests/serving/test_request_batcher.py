"""Batching as such: what shares a batch, what is refused, and that an answer is the one that a lone request gets."""

import asyncio
import threading
import time
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from tests.serving.toy_models import FEATURES
from tfmtl.serving.server.batch_rows import batch_key, merge_rows, split_rows
from tfmtl.serving.server.batching_options import BatchingOptions
from tfmtl.serving.server.request_batcher import RequestBatcher
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.server.server_metrics import ServerMetrics
from tfmtl.serving.serving_error import ServingError


@pytest.fixture(scope="module")
def model(exported):
    return ServedModel(exported, 3)


@pytest.fixture
def calls(model, monkeypatch):
    """The calls that reach the model: (signature, rows). They set `entered`, and wait while `gate` is not set."""
    made, gate, entered = [], threading.Event(), threading.Event()
    predict = ServedModel.predict
    gate.set()

    def record(self, name, inputs, output_filter=()):
        entered.set()
        assert gate.wait(60)
        made.append((name, len(next(iter(inputs.values())))))
        return predict(self, name, inputs, output_filter)

    monkeypatch.setattr(ServedModel, "predict", record)
    yield SimpleNamespace(made=made, gate=gate, entered=entered)
    gate.set()


def run(options, scenario):
    """Runs a scenario with a batcher in an event loop of its own."""

    async def main():
        with RequestBatcher(BatchingOptions(**options), ServerMetrics()) as batcher:
            return await scenario(batcher)

    return asyncio.run(main())


def lone(*values):
    return {"x": np.array(values, np.float32)}


async def held(batcher, model, calls):
    """A request that keeps the one thread busy until the gate is set."""
    calls.gate.clear()
    calls.entered.clear()
    first = asyncio.ensure_future(batcher.predict(model, "lone", lone(0.0)))
    while not calls.entered.is_set():
        await asyncio.sleep(0.001)
    return first


ONE_THREAD = {"num_batch_threads": 1}


def test_what_waits_is_computed_together_and_everybody_gets_their_rows(model, calls):
    async def scenario(batcher):
        first = await held(batcher, model, calls)
        rest = [asyncio.ensure_future(batcher.predict(model, "lone", lone(*[10.0 * n] * n))) for n in range(1, 5)]
        await asyncio.sleep(0)
        calls.gate.set()
        return [await first, *[await each for each in rest]]

    answers = run(ONE_THREAD, scenario)
    assert calls.made == [("lone", 1), ("lone", 10)]
    for n, answer in enumerate(answers):
        np.testing.assert_array_equal(answer["y"], np.float32([10.0 * n] * max(n, 1)) * np.float32(0.1) + 0.5)


def test_a_batch_keeps_to_its_size_and_a_larger_request_runs_alone(model, calls):
    async def scenario(batcher):
        first = await held(batcher, model, calls)
        sizes = (3, 2, 9, 1, 3)
        rest = [asyncio.ensure_future(batcher.predict(model, "lone", lone(*[1.0] * size))) for size in sizes]
        await asyncio.sleep(0)
        calls.gate.set()
        await first
        assert [len((await each)["y"]) for each in rest] == list(sizes)

    run({**ONE_THREAD, "max_batch_size": 4}, scenario)
    assert calls.made == [("lone", 1), ("lone", 3), ("lone", 2), ("lone", 9), ("lone", 4)]


def test_a_batch_of_one_row_at_most_is_no_batching(model, calls):
    async def scenario(batcher):
        first = await held(batcher, model, calls)
        rest = [asyncio.ensure_future(batcher.predict(model, "lone", lone(1.0))) for _ in range(3)]
        await asyncio.sleep(0)
        calls.gate.set()
        await asyncio.gather(first, *rest)

    run({**ONE_THREAD, "max_batch_size": 1}, scenario)
    assert calls.made == [("lone", 1)] * 4


async def five_at_once(batcher, model, calls):
    """Has the batcher see five clients."""
    first = await held(batcher, model, calls)
    rest = [asyncio.ensure_future(batcher.predict(model, "lone", lone(1.0))) for _ in range(4)]
    await asyncio.sleep(0)
    calls.gate.set()
    await asyncio.gather(first, *rest)
    calls.made.clear()


def test_a_batch_waits_for_as_many_as_there_were(model, calls):
    async def scenario(batcher):
        await five_at_once(batcher, model, calls)
        early = [asyncio.ensure_future(batcher.predict(model, "lone", lone(1.0))) for _ in range(4)]
        await asyncio.sleep(0.05)
        assert calls.made == []
        await asyncio.gather(batcher.predict(model, "lone", lone(1.0)), *early)

    run({**ONE_THREAD, "batch_timeout_micros": 60_000_000}, scenario)
    assert calls.made == [("lone", 5)]


def test_a_batch_waits_for_its_time_at_most_and_then_expects_no_more(model, calls):
    async def scenario(batcher):
        await five_at_once(batcher, model, calls)
        for number in (3, 2, 1):
            await asyncio.gather(*[batcher.predict(model, "lone", lone(1.0)) for _ in range(number)])

    run({**ONE_THREAD, "batch_timeout_micros": 1000}, scenario)
    assert calls.made == [("lone", 3), ("lone", 2), ("lone", 1)]


def test_a_client_that_is_alone_does_not_wait(model, calls):
    async def scenario(batcher):
        for _ in range(3):
            await asyncio.wait_for(batcher.predict(model, "lone", lone(1.0)), 30)

    run({**ONE_THREAD, "batch_timeout_micros": 3_600_000_000}, scenario)
    assert calls.made == [("lone", 1)] * 3


def test_a_full_batch_does_not_wait(model, calls):
    async def scenario(batcher):
        await five_at_once(batcher, model, calls)
        await asyncio.wait_for(asyncio.gather(*[batcher.predict(model, "lone", lone(1.0, 2.0)) for _ in range(2)]), 30)

    run({**ONE_THREAD, "max_batch_size": 4, "batch_timeout_micros": 3_600_000_000}, scenario)
    assert calls.made == [("lone", 4)]


def test_a_version_is_not_held_once_its_requests_are_answered(exported):
    async def scenario(batcher):
        model = ServedModel(exported, 3)
        await asyncio.gather(*[batcher.predict(model, "lone", lone(1.0)) for _ in range(8)])
        await asyncio.sleep(0.05)  # the threads wait again
        return weakref.ref(model)

    gone = run({}, scenario)
    assert gone() is None


def test_other_signatures_and_shapes_do_not_share_a_batch(model, calls):
    async def scenario(batcher):
        first = await held(batcher, model, calls)
        wider = {**FEATURES, "tags": np.full((3, 5), b"t", object)}
        asked = [("lone", lone(1.0)), ("pair", lone(1.0)), ("serving_default", FEATURES), ("serving_default", wider)]
        asked += [("rank", {"user": np.float32([2.0]), "item": np.float32([1.0, 2.0])})] * 2
        rest = [asyncio.ensure_future(batcher.predict(model, *each)) for each in asked * 2]
        await asyncio.sleep(0)
        calls.gate.set()
        await first
        return [await each for each in rest]

    answers = run(ONE_THREAD, scenario)
    # The toy is no export of ours, so its lists are not filled up; `rank` has one row for the user.
    assert sorted(calls.made[1:]) == [
        *[("lone", 2), ("pair", 2)],
        *[("rank", 1)] * 4,
        *[("serving_default", 6)] * 2,
    ]
    np.testing.assert_array_equal(answers[3]["click"] - answers[2]["click"], np.float32([3.0, 4.0, 5.0]))
    assert answers[4]["score"].tolist() == [2.0, 4.0]


def test_the_fault_of_one_request_is_not_its_neighbors(model, calls):
    async def scenario(batcher):
        first = await held(batcher, model, calls)
        indices = ([0], [5], [1])
        asked = [batcher.predict(model, "pick", {"index": np.int32(index)}) for index in indices]
        asked.append(batcher.predict(model, "pick", {"index": np.float32([0])}))  # seen before it is enqueued
        rest = [asyncio.ensure_future(each) for each in asked]
        await asyncio.sleep(0)
        calls.gate.set()
        await first
        return await asyncio.gather(*rest, return_exceptions=True)

    good, bad, other, wrong = run(ONE_THREAD, scenario)
    assert good["picked"].tolist() == [10.0] and other["picked"].tolist() == [20.0]
    assert bad.code == "INVALID_ARGUMENT" and "= 5 is not in [0, 2)" in bad.message
    assert wrong.code == "INVALID_ARGUMENT" and "must have dtype int32" in wrong.message
    assert calls.made == [("lone", 1), ("pick", 3), ("pick", 1), ("pick", 1), ("pick", 1)]


@pytest.mark.parametrize("max_batch_size", [1, 2])
def test_a_full_queue_refuses_at_once_and_serves_on(model, calls, max_batch_size):
    async def scenario(batcher):
        first = await held(batcher, model, calls)
        full = [batcher.predict(model, "lone", lone(1.0)) for _ in range(3 * max_batch_size)]
        rest = [asyncio.ensure_future(each) for each in full]
        await asyncio.sleep(0)
        with pytest.raises(ServingError, match="The server's queue is full: 3 batches wait") as caught:
            await batcher.predict(model, "lone", lone(1.0))
        assert caught.value.code == "RESOURCE_EXHAUSTED"
        calls.gate.set()
        await asyncio.gather(first, *rest)
        await batcher.predict(model, "lone", lone(1.0))

    run({**ONE_THREAD, "max_batch_size": max_batch_size, "max_enqueued_batches": 3}, scenario)


def test_what_is_late_or_given_up_is_not_computed(model, calls):
    async def scenario(batcher):
        first = await held(batcher, model, calls)
        now = time.monotonic()
        late, early, given_up = (
            asyncio.ensure_future(batcher.predict(model, "lone", lone(1.0), (), deadline))
            for deadline in (now + 0.01, now + 60, None)
        )
        await asyncio.sleep(0.02)
        given_up.cancel()
        await asyncio.sleep(0)
        calls.gate.set()
        await first
        return await asyncio.gather(late, early, given_up, return_exceptions=True)

    late, early, given_up = run(ONE_THREAD, scenario)
    assert late.code == "DEADLINE_EXCEEDED" and isinstance(given_up, asyncio.CancelledError)
    assert early["y"].tolist() == [np.float32(0.6)]
    assert calls.made == [("lone", 1)] * 2


def test_outputs_are_chosen_for_each_request(model, calls):
    async def scenario(batcher):
        first = await held(batcher, model, calls)
        rest = [
            asyncio.ensure_future(batcher.predict(model, "pair", lone(1.0), wanted))
            for wanted in (("low",), (), ("high",))
        ]
        await asyncio.sleep(0)
        calls.gate.set()
        await first
        return [await each for each in rest]

    assert [sorted(answer) for answer in run(ONE_THREAD, scenario)] == [["low"], ["high", "low"], ["high"]]


@pytest.mark.parametrize(
    "name", ["max_batch_size", "max_enqueued_batches", "num_batch_threads", "batch_timeout_micros"]
)
def test_options_are_checked(name):
    least = 0 if name == "batch_timeout_micros" else 1
    with pytest.raises(ValueError, match=f"BatchingOptions: `{name}` must be at least {least}. Received: {name}=-1"):
        BatchingOptions(**{name: -1})


def test_options_are_read_from_a_file_of_tf_serving(tmp_path):
    from tfmtl.serving.deployment.batching import Batching

    path = tmp_path / "batching.config"
    path.write_text("# measured\n" + Batching(32, 1500, 8, 4).text())
    assert BatchingOptions.from_file(path) == BatchingOptions(32, 1500, 8, 4)
    path.write_text("max_batch_size { value: 16 }\nthread_pool_name { value: 'pool' }\n")
    assert BatchingOptions.from_file(path) == BatchingOptions(16)
    path.write_text("max_batch_size: 16\n")
    with pytest.raises(
        ValueError, match=r"batching.config' must be a batching file in protobuf text format. Received: 1"
    ):
        BatchingOptions.from_file(path)


def test_shorter_lists_are_filled_up_with_missing_values():
    rows = [
        {"tags": np.array([[b"a", b"b"]], object), "times": np.int64([[1, 2]]), "prices": np.float32([[1.0, 2.0]])},
        {"tags": np.array([[b"c"]], object), "times": np.int64([[3]]), "prices": np.float32([[3.0]])},
        {"tags": np.empty((1, 0), object), "times": np.empty((1, 0), np.int64), "prices": np.empty((1, 0), np.float32)},
    ]
    assert len({batch_key(inputs, fills=True) for inputs in rows}) == 1
    assert len({batch_key(inputs, fills=False) for inputs in rows}) == 3
    merged = merge_rows(rows)
    assert merged["tags"].tolist() == [[b"a", b"b"], [b"c", b""], [b"", b""]]
    assert merged["times"].tolist() == [[1, 2], [3, 0], [0, 0]]
    np.testing.assert_array_equal(merged["prices"], np.float32([[1, 2], [3, np.nan], [np.nan, np.nan]]))
    long = {name: np.repeat(array, 100, axis=1) for name, array in rows[0].items()}
    assert batch_key(long, fills=True) != batch_key(rows[0], fills=True)  # or one list would make all lists long


def test_lists_of_lists_are_filled_up_at_both_levels():
    rows = [
        {"tags": np.array([[[b"a", b"b"], [b"c", b""]]], object), "sizes": np.float32([[[1.0, 2.0]]])},
        {"tags": np.array([[[b"d"], [b"e"], [b"f"]]], object), "sizes": np.float32([[[3.0, 4.0], [5.0, 6.0]]])},
        {"tags": np.empty((1, 0, 0), object), "sizes": np.empty((1, 0, 2), np.float32)},
    ]
    assert len({batch_key(inputs, fills=True) for inputs in rows}) == 1
    merged = merge_rows(rows)
    assert merged["tags"].tolist() == [
        [[b"a", b"b"], [b"c", b""], [b"", b""]],
        [[b"d", b""], [b"e", b""], [b"f", b""]],
        [[b"", b""]] * 3,
    ]
    assert merged["sizes"].shape == (3, 2, 2)
    np.testing.assert_array_equal(merged["sizes"][:2], [[[1, 2], [np.nan] * 2], [[3, 4], [5, 6]]])


def test_an_output_without_a_row_for_each_example_is_seen():
    assert split_rows({"y": np.arange(3)}, [1, 0, 2])[2]["y"].tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"output 'y' has shape \(2,\) for a batch of 3 rows"):
        split_rows({"y": np.arange(2)}, [1, 2])
