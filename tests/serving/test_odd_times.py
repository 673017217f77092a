"""Times of requests that cannot be meant so: counted by default, refused by option, over both protocols."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.serving.shop_model import export_shop
from tests.serving.test_fuzz import make_proto
from tests.serving.test_multiplied_requests import ask_grpc
from tests.serving.test_resources import request_over_rest
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.server.batching_options import BatchingOptions
from tfmtl.serving.server.request_times import RequestTimes
from tfmtl.serving.serving_error import ServingError

pytestmark = pytest.mark.process

LAST = 1_700_000_000
TIMES = RequestTimes("timestamp", ("viewed__time",), LAST)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The shop as `tfmtl export` would leave it: with the record of training's last time."""
    return with_times(export_shop(tmp_path_factory.mktemp("shop"), 1))


def with_times(path):
    extra = path / "assets.extra"
    extra.mkdir()
    (extra / "problem.yaml").write_text("")
    (extra / "times.json").write_text(json.dumps({"time": "timestamp", "events": ["viewed__time"], "last": LAST}))
    return path


def request(*times, events=None):
    rows = len(times)
    events = [[time - 10] for time in times] if events is None else events
    return {
        "item_id": ["i1"] * rows,
        "price": [1.0] * rows,
        "timestamp": list(times),
        "tags": [["i2"]] * rows,
        "viewed__item_id": [["i3"] * len(row) for row in events],
        "viewed__time": events,
    }


def odd(times, events=None):
    inputs = {"timestamp": np.array(times, np.int64)}
    if events is not None:
        inputs["viewed__time"] = np.array(events, np.int64)
    return {what: rows.tolist() for what, rows in TIMES.odd_rows(inputs).items()}


def example(time, *events):
    lists = {} if time is None else {"timestamp": [time]}
    lists |= {"viewed__time": events, "other__time": [LAST * 10]} if events else {}
    features = {name: {"int64_list": {"value": values}} for name, values in lists.items()}
    features["item_id"] = {"bytes_list": {"value": [b"i1"]}}
    return tf.train.Example(features={"feature": features}).SerializeToString()


def odd_examples(*examples, name="examples"):
    return {what: rows.tolist() for what, rows in TIMES.odd_rows({name: np.array(examples, object)}).items()}


class TestSerializedExamples:
    def test_as_the_same_rows_by_name(self):
        assert odd_examples(example(LAST), example(LAST * 1000), name="inputs") == {"wrong_unit": [False, True]}
        rows = (example(LAST), example(LAST, LAST - 1, LAST), example(LAST, LAST + 1, 0), example(1, 0))
        assert odd_examples(*rows) == {
            "wrong_unit": [False, False, False, True],
            "event_after_request": [False, False, True, False],
        }
        without = RequestTimes("timestamp", (), LAST)
        assert list(without.odd_rows({"examples": np.array([example(5)], object)})) == ["wrong_unit"]

    def test_what_the_model_will_refuse_is_not_odd(self):
        assert odd_examples(example(None)) == odd_examples(b"x") == odd_examples() == {}
        assert odd_examples(example(LAST * 1000), b"\xff") == {}


class ShopExamples(tf.Module):
    """Reads a serialized example's time; the answer has a row for each."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve_examples(self, examples):
        spec = {"timestamp": tf.io.FixedLenFeature([], tf.int64)}
        return {"click": tf.cast(tf.io.parse_example(examples, spec)["timestamp"] > 0, tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def regress_click(self, inputs):
        return {"outputs": self.serve_examples(inputs)["click"]}


@pytest.fixture(scope="module")
def exported_examples(tmp_path_factory):
    path = tmp_path_factory.mktemp("examples") / "1"
    module = ShopExamples()
    names = ("serve_examples", "regress_click")
    tf.saved_model.save(module, str(path), {name: getattr(module, name).get_concrete_function() for name in names})
    return with_times(path)


class TestRows:
    def test_another_unit_and_no_other_time(self):
        assert odd([LAST, LAST * 2, LAST // 2, 1, LAST * 99]) == {"wrong_unit": [False, False, False, True, False]}
        assert odd([LAST * 1000, LAST * 101, LAST // 1000, 0, -5]) == {"wrong_unit": [True] * 5}
        assert odd([LAST + 10**8]) == {}

    def test_events_after_the_request(self):
        assert odd([LAST, LAST], [[LAST - 1, LAST], [LAST + 1, 0]]) == {"event_after_request": [False, True]}
        assert odd([LAST], np.zeros((1, 0))) == odd([], np.zeros((0, 2))) == {}

    def test_one_user_of_many_candidates(self):
        assert odd([LAST], [[LAST + 5, 0]]) == {"event_after_request": [True]}

    def test_what_carries_no_time_is_not_odd(self):
        assert TIMES.odd_rows({"price": np.ones(1)}) == TIMES.odd_rows({}) == {}
        assert RequestTimes("timestamp", (), 0).odd_rows({"timestamp": np.array([10**15])}) == {}


@pytest.mark.parametrize("batching", [None, BatchingOptions(max_batch_size=8)], ids=["alone", "batched"])
def test_they_are_counted_by_default(exported, caplog, batching):
    with LocalServer(exported.parent, "shop", grpc_port=0, rest_port=0, batching=batching) as server:
        with GrpcClient(f"127.0.0.1:{server.grpc_port}", "shop") as client:
            client.predict(request(LAST, LAST + 5))
            client.predict(request(LAST, LAST * 1000, LAST * 1000, LAST * 1000))
            client.predict(request(LAST, events=[[LAST + 60]]))
        with RestClient(f"127.0.0.1:{server.rest_port}", "shop") as client:
            client.predict(request(LAST * 1000))
            pool = client._transport._pool
            metrics = pool.request("GET", "/metrics").data.decode()
    assert 'serving_odd_time_rows_total{model="shop",what="wrong_unit"} 4.0' in metrics
    assert 'serving_odd_time_rows_total{model="shop",what="event_after_request"} 1.0' in metrics
    told = [message for message in caplog.messages if "must be in the log's unit" in message]
    assert (
        told[-1].startswith("Model 'shop': 4 rows so far whose 'timestamp' must be in the log's unit")
        and len(told) == 2
    )


@pytest.mark.parametrize("batching", [None, BatchingOptions(max_batch_size=8)], ids=["alone", "batched"])
def test_they_are_refused_by_option(exported, batching):
    options = {"batching": batching, "refuse_odd_times": True}
    with LocalServer(exported.parent, "shop", grpc_port=0, rest_port=0, **options) as server:
        for client in (
            GrpcClient(f"127.0.0.1:{server.grpc_port}", "shop"),
            RestClient(f"127.0.0.1:{server.rest_port}", "shop"),
        ):
            with client:
                assert client.predict(request(LAST))["click"].shape == (1,)
                with pytest.raises(
                    ServingError, match=r"row 1: feature 'timestamp' must be in the log's unit.*Rec.*000"
                ):
                    client.predict(request(LAST, LAST * 1000))
                with pytest.raises(ServingError, match="row 0: feature 'timestamp' must not be before an event"):
                    client.predict(request(LAST, events=[[LAST + 60]]))


@pytest.mark.parametrize("refuses", [False, True], ids=["counted", "refused"])
def test_serialized_examples_too(exported_examples, refuses):
    base, options = exported_examples.parent, {"refuse_odd_times": refuses}
    with LocalServer(base, "shop", grpc_port=0, rest_port=0, batching=BatchingOptions(), **options) as server:
        body = {"signature_name": "regress_click", "examples": [{"timestamp": LAST}, {"timestamp": LAST * 1000}]}
        status, answer = request_over_rest(server, "/v1/models/shop:regress", json.dumps(body).encode())
        arrays = {"examples": np.array([example(LAST, LAST - 1), example(LAST, LAST + 1)], object)}
        proto = make_proto(arrays, "serve_examples").SerializeToString()
        code, text = ask_grpc(SimpleNamespace(grpc_address=f"127.0.0.1:{server.grpc_port}"), "Predict", proto)
        with RestClient(f"127.0.0.1:{server.rest_port}", "shop") as client:
            metrics = client._transport._pool.request("GET", "/metrics").data.decode()
    assert 'serving_odd_time_rows_total{model="shop",what="wrong_unit"} 1.0' in metrics
    assert 'serving_odd_time_rows_total{model="shop",what="event_after_request"} 1.0' in metrics
    if refuses:
        assert status == 400 and "row 1: feature 'timestamp' must be in the log's unit" in answer["error"]
        assert f"Received: {LAST * 1000}; last training time: {LAST}" in answer["error"]
        assert code == "INVALID_ARGUMENT" and "row 1: feature 'timestamp' must not be before an event" in text
    else:
        assert (status, code) == (200, "OK")


def test_a_list_of_times_that_is_shorter_than_its_events_names_the_feature(exported):
    """As any client may send it, which does not check it first as ours do."""
    body = {**request(LAST), "viewed__item_id": [["i1", "i2"]], "viewed__time": [[LAST - 1]]}
    expected = "must have a value for each of the 2 events of 'viewed__item_id'. Received: 1 values."
    with LocalServer(exported.parent, "shop", grpc_port=0, rest_port=0) as server:
        status, answer = request_over_rest(server, "/v1/models/shop:predict", json.dumps({"inputs": body}).encode())
        assert status == 400 and answer["error"] == f"Signature 'serving_default': input 'viewed__time' {expected}"
        arrays = {name: np.array(value, object if isinstance(value[0], str) else None) for name, value in body.items()}
        arrays["price"] = np.float32(body["price"])
        proto = make_proto(arrays, "serving_default")
        code, text = ask_grpc(
            SimpleNamespace(grpc_address=f"127.0.0.1:{server.grpc_port}"), "Predict", proto.SerializeToString()
        )
        assert code == "INVALID_ARGUMENT" and text.endswith(expected)
