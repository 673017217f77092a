"""What an operator sees: Prometheus' metrics and health."""

import re
from http.client import HTTPConnection

import numpy as np
import pytest

from tests.serving.test_local_server import wait_until
from tests.serving.toy_models import break_version, export
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.server.batching_options import BatchingOptions
from tfmtl.serving.server.limits import Limits
from tfmtl.serving.serving_error import ServingError

pytestmark = pytest.mark.process

LONE = {"x": np.float32([10.0, 11.0])}


def get(server, path):
    connection = HTTPConnection("127.0.0.1", server.rest_port, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    found = response.status, response.getheader("Content-Type"), response.read().decode()
    connection.close()
    return found


def values(server, path="/metrics"):
    """Series -> value; the labels as they are written."""
    status, content_type, text = get(server, path)
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in lines}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base_dir = tmp_path_factory.mktemp("monitored")
    broken = break_version(export(base_dir, 1), base_dir, 2)
    assert broken.name == "2"
    options = BatchingOptions(num_batch_threads=1)
    with LocalServer(base_dir, "toy", grpc_port=0, rest_port=0, batching=options) as running:
        yield running


def test_requests_are_counted_by_protocol_method_model_and_status(server):
    rest = RestClient(f"127.0.0.1:{server.rest_port}", "toy")
    with GrpcClient(f"127.0.0.1:{server.grpc_port}", "toy") as client:
        before = values(server)
        for _ in range(3):
            client.predict(LONE, signature_name="lone", timeout=60)
        rest.predict(LONE, signature_name="lone", timeout=60)
        too_many = {"x": np.zeros(Limits.max_rows + 1, np.float32)}
        for each in (client, rest):
            with pytest.raises(ServingError, match="rows"):
                each.predict(too_many, signature_name="lone", timeout=60)
        client.status(timeout=60)
    with GrpcClient(f"127.0.0.1:{server.grpc_port}", "made up\n") as stranger, pytest.raises(ServingError):
        stranger.status(timeout=60)
    after = values(server)

    def grown(series):
        return after.get(series, 0.0) - before.get(series, 0.0)

    def requests(protocol, method, status, model="toy"):
        labels = f'method="{method}",model="{model}",protocol="{protocol}",status="{status}"'
        return grown(f"serving_requests_total{{{labels}}}")

    assert requests("grpc", "Predict", "OK") == 3
    assert requests("grpc", "Predict", "RESOURCE_EXHAUSTED") == requests("rest", "Predict", "RESOURCE_EXHAUSTED") == 1
    assert requests("rest", "Predict", "OK") == 1
    assert requests("grpc", "GetModelStatus", "OK") == 1
    # A name that a client made up is no label: it would be a series for ever.
    assert requests("grpc", "GetModelStatus", "NOT_FOUND", model="") == 1
    assert not any("made up" in series for series in after)
    seconds = 'serving_request_seconds_count{method="Predict",model="toy",protocol="grpc"}'
    assert grown(seconds) == 4
    assert grown("serving_batch_rows_sum") == 8 and grown("serving_batch_requests_sum") == 4
    assert after["serving_queued_batches"] == 0


def test_versions_have_their_states(server):
    found = {series: value for series, value in values(server).items() if series.startswith("serving_model_version")}
    assert found == {
        'serving_model_version{model="toy",state="AVAILABLE",version="1"}': 1.0,
        'serving_model_version{model="toy",state="END",version="2"}': 1.0,
    }


def test_tf_servings_path_answers_too_and_lines_are_well_formed(server):
    assert values(server, "/monitoring/prometheus/metrics")["process_resident_memory_bytes"] > 1e6
    for line in get(server, "/metrics")[2].splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) .*|[a-z_]+(\{([a-z]+="[^"\n]*",?)+\})? -?[0-9.e+\-]+|.*NaN', line), line


def test_health_is_whether_every_model_answers(tmp_path):
    export(tmp_path, 1)
    with LocalServer(tmp_path, "toy", grpc_port=0, rest_port=0, poll_seconds=0.05) as server:
        assert get(server, "/healthz")[::2] == (200, '{"status": "ok"}')
        (tmp_path / "1").rename(tmp_path / "withdrawn")
        wait_until(lambda: get(server, "/healthz")[0] == 503)
        assert get(server, "/healthz")[2] == '{"status": "unavailable", "models": ["toy"]}'
