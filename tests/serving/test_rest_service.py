"""The REST API, asked with nothing but HTTP and JSON."""

import base64
import gzip
import json
import math
import socket
import struct
import time
from http.client import HTTPConnection

import numpy as np
import pytest

from tests.serving.toy_models import FEATURES, SIGNATURES, call_directly

COLUMNS = {
    "country": ["se", "no", "ö"],
    "age": [31.5, 0.1, -2],
    "item": [7, 8, 9_000_000_000],
    "tags": [["a", "b"], ["a", ""], ["", ""]],
}
ROWS = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]


@pytest.fixture
def ask(server):
    """Sends one request and returns the HTTP status and the parsed answer."""

    def send(method, path, body=None, **headers):
        connection = HTTPConnection("127.0.0.1", server.rest_port, timeout=10)
        connection.request(method, path, body if isinstance(body, bytes | None) else json.dumps(body), headers)
        response = connection.getresponse()
        assert response.headers["Content-Type"].startswith("application/json")
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    return send


@pytest.fixture
def predict(ask):
    """Sends one predict request to the toy model."""
    return lambda body, **headers: ask("POST", "/v1/models/toy:predict", body, **headers)


def test_columns_equal_the_direct_call(predict, exported):
    status, answer = predict({"inputs": COLUMNS})
    direct = call_directly(exported, "serving_default", FEATURES)
    assert status == 200 and set(answer) == {"outputs"} and set(answer["outputs"]) == {"click", "watch"}
    np.testing.assert_array_equal(np.float32(answer["outputs"]["click"]), direct["click"])
    np.testing.assert_array_equal(answer["outputs"]["watch"], direct["watch"])


def test_rows_are_the_columns_transposed(predict):
    _, by_column = predict({"inputs": COLUMNS})
    status, by_row = predict({"instances": ROWS, "signature_name": "serving_default"})
    assert status == 200
    expected = zip(by_column["outputs"]["click"], by_column["outputs"]["watch"], strict=True)
    assert by_row == {"predictions": [{"click": click, "watch": watch} for click, watch in expected]}


def test_version_can_be_pinned(ask):
    path = "/v1/models/toy/versions/3:predict"
    assert ask("POST", path, {"inputs": COLUMNS}) == ask("POST", "/v1/models/toy:predict", {"inputs": COLUMNS})


@pytest.mark.parametrize("body", [{"instances": [1.0, 5]}, {"instances": [{"x": 1.0}, {"x": 5}]}])
def test_one_input_and_one_output_go_without_names_in_rows(predict, body):
    assert predict({**body, "signature_name": "lone"}) == (200, {"predictions": [0.6, 1.0]})


@pytest.mark.parametrize("inputs", [[1.0, 5], {"x": [1.0, 5]}])
def test_one_input_and_one_output_go_without_names_in_columns(predict, inputs):
    assert predict({"inputs": inputs, "signature_name": "lone"}) == (200, {"outputs": [0.6, 1.0]})


def test_nan_and_infinity_are_literals_both_ways(server):
    connection = HTTPConnection("127.0.0.1", server.rest_port, timeout=10)
    body = '{"signature_name": "lone", "instances": [NaN, Infinity, -Infinity, 1.0]}'
    connection.request("POST", "/v1/models/toy:predict", body)
    text = connection.getresponse().read().decode()
    connection.close()
    assert text == '{"predictions": [NaN, Infinity, -Infinity, 0.6]}'
    assert math.isnan(json.loads(text)["predictions"][0])


def test_bytes_travel_in_base64_where_the_name_says_so(predict):
    rows = ["plain", {"b64": base64.b64encode("ö".encode()).decode()}]
    status, answer = predict({"signature_name": "echo", "instances": rows})
    assert status == 200
    assert answer["predictions"] == [
        {"text": "plain", "text_bytes": {"b64": base64.b64encode(b"plain").decode()}},
        {"text": "ö", "text_bytes": rows[1]},
    ]


def test_bytes_that_are_no_text_name_the_output(predict):
    rows = [{"b64": base64.b64encode(b"\xff\xfe").decode()}]
    status, answer = predict({"signature_name": "echo", "instances": rows})
    assert status == 400
    assert answer["error"].startswith("Output 'text' holds bytes that are not UTF-8. Export it as 'text_bytes'")


def test_outputs_without_a_common_batch_need_columns(predict):
    inputs = {"user": [2.0], "item": [1.0, 2.0, 4.0]}
    body = {"signature_name": "rank", "inputs": inputs}
    assert predict(body) == (200, {"outputs": {"score": [2.0, 4.0, 8.0], "total": 7.0}})
    status, answer = predict({"signature_name": "rank", "instances": [{"user": 2.0, "item": 1.0}]})
    assert status == 400
    assert answer["error"].startswith("Outputs must share a batch dimension to be answered in rows.")


def columns_with(**changes):
    return {"inputs": {**COLUMNS, **changes}}


def row_with(**changes):
    return {"instances": [ROWS[0], {**ROWS[1], **changes}]}


def without_age(columns):
    return {name: value for name, value in columns.items() if name != "age"}


KNOWN = "Known inputs: ['age', 'country', 'item', 'tags']."
LONE = {"signature_name": "lone"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        # The body itself.
        (b"", "JSON Parse error: the body is empty."),
        (b'{"instances": [', "JSON Parse error: Expecting value: line 1 column 16 (char 15)"),
        (b"\xff\xfe\x00", "JSON Parse error: "),
        (b"[" * 100_000, "JSON Parse error: maximum recursion depth exceeded"),
        (b'{"inputs": ' + b"9" * 5000 + b"}", "JSON Parse error: Exceeds the limit"),
        (b'{"inputs": {"age": [1e400]}}', "JSON Parse error: the number '1e400' is beyond the range of float64"),
        (b'{"inputs": {"age": [1], "age": [2]}}', "JSON Parse error: an object has the key 'age' 2 times"),
        ([1, 2], "The body must be a JSON object. Received: list."),
        ({}, "The body must have exactly one of the keys 'instances' (rows) and 'inputs' (columns)."),
        ({"inputs": COLUMNS, "instances": ROWS}, "The body must have exactly one of the keys"),
        ({"signature_name": 5, "inputs": COLUMNS}, "'signature_name' must be a string. Received: 5."),
        (
            {"signature_name": "serving", "inputs": COLUMNS},
            f"Serving signature 'serving' not found in version 3. Known signatures: {sorted(SIGNATURES)}.",
        ),
        # Names.
        (
            columns_with(agee=[1.0]),
            f"Signature 'serving_default': 'agee' is not an input. {KNOWN} Did you mean 'age'?",
        ),
        (
            {"inputs": without_age(COLUMNS)},
            "Signature 'serving_default': input 'age' is missing. Expected: dtype float32, shape (?).",
        ),
        (row_with(agee=1.0), f"instances[1]: Signature 'serving_default': 'agee' is not an input. {KNOWN}"),
        (
            {"instances": [ROWS[0], without_age(ROWS[1])]},
            "instances[1]: Signature 'serving_default': input 'age' is missing.",
        ),
        ({"inputs": [1.0]}, "Signature 'serving_default': 'inputs' must name its inputs, ['age', 'country', "),
        ({"instances": [1.0]}, "Signature 'serving_default': 'instances' must name its inputs, ['age', "),
        # dtypes.
        (columns_with(age=[1, "2", 3]), "Input 'age' must have dtype float32. Received: '2' (string)."),
        (columns_with(age=[1, None, 3]), "Input 'age' must have dtype float32. Received: None (null)."),
        (columns_with(age=[1, True, 3]), "Input 'age' must have dtype float32. Received: True (boolean)."),
        (columns_with(age=[1, 1e39, 3]), "Input 'age' must have dtype float32. Received: 1e+39, beyond the range"),
        (columns_with(age=[1, 16777217, 3]), "Input 'age' must have dtype float32. Received: 16777217, an integer"),
        (columns_with(item=[1, 2.0, 3]), "Input 'item' must have dtype int64. Received: 2.0 (number)."),
        (columns_with(item=[1, 2**63, 3]), "Input 'item' must have dtype int64. Received: 9223372036854775808, "),
        (columns_with(country=["se", 4, "no"]), "Input 'country' must have dtype string. Received: 4 (number)."),
        (
            columns_with(country=["se", {"b64": "!"}, "no"]),
            "Input 'country' must have dtype string. Received: {'b64': '!'}, which is not base64",
        ),
        # Shapes.
        (
            columns_with(age=[[1.0], [2.0], [3.0]]),
            "Signature 'serving_default': input 'age' must have shape (?). Received: shape (3, 1).",
        ),
        (columns_with(age=3.0), "Signature 'serving_default': input 'age' must have shape (?). Received: shape ()."),
        (columns_with(tags=["a", "b", "c"]), "Signature 'serving_default': input 'tags' must have shape (?, ?)."),
        (columns_with(tags=[["a"], ["b", "c"], []]), "Input 'tags' must hold lists of one length. Received: lengths 1"),
        (columns_with(tags=[["a"], "b", ["c"]]), "Input 'tags' must be nested to one depth. Received: 'b' beside"),
        (columns_with(age=[1.0, [2.0], 3.0]), "Input 'age' must have dtype float32. Received: [2.0] (list)."),
        (
            {**LONE, "inputs": json.loads("[" * 40 + "]" * 40)},
            "Input 'x' must not be nested deeper than 32 lists.",
        ),
        (
            columns_with(age=[1.0, 2.0]),
            "Signature 'serving_default': inputs must share the batch dimension. "
            "Received: 2 rows of 'age', 3 of ['country', 'item', 'tags'].",
        ),
        (
            row_with(tags=["a"]),
            "instances[1]: input 'tags' must have the shape it has in instances[0], [2]. Received: [1].",
        ),
        ({"instances": []}, "'instances' must be a list of at least one row."),
        ({"instances": ROWS[0]}, "'instances' must be a list of at least one row."),
        ({**LONE, "instances": [1.0, {"x": 2.0}]}, "'instances' must be all objects or all bare values, not a mix"),
    ],
    ids=lambda value: value[:50] if isinstance(value, str) else "",
)
def test_a_wrong_body_is_a_400_that_says_why(predict, body, message):
    status, answer = predict(body)
    assert status == 400
    assert set(answer) == {"error"}
    assert answer["error"].startswith(message)


def test_lists_of_any_depth_are_a_400(predict):
    """A message that shows the value must not fail where reading it just did not."""
    for depth in (*range(10, 900, 100), *range(900, 1000, 3)):
        body = b'{"signature_name": "lone", "inputs": {"x": [1, ' + b"[" * depth + b"]" * depth + b"]}}"
        status, answer = predict(body)
        assert status == 400 and "nternal" not in answer["error"]
        if depth < 800:
            assert answer["error"].startswith("Input 'x' must have dtype float32. Received: [[[[[")


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/v1/models/census:predict", 404, "Servable not found for request: model 'census'. Served models:"),
        ("POST", "/v1/models/toy/versions/4:predict", 404, "Servable not found for request: version 4 of model 'toy'"),
        ("GET", "/v1/models/census", 404, "Servable not found for request: model 'census'."),
        ("GET", "/v1/models/toy/versions/4", 404, "Could not find version 4 of model 'toy'. Known versions: [3]."),
        ("GET", "/v1/models/toy/versions/4/metadata", 404, "Servable not found for request: version 4"),
        ("GET", "/v1/models/toy:predict", 400, "Malformed request: GET /v1/models/toy:predict"),
        ("POST", "/v1/models/toy", 400, "Malformed request: POST /v1/models/toy"),
        ("POST", "/v1/models/toy:compute", 400, "Malformed request: POST /v1/models/toy:compute"),
        ("GET", "/v1/models/toy/versions/newest", 400, "Malformed request: GET /v1/models/toy/versions/newest"),
        ("GET", f"/v1/models/toy/versions/{'9' * 5000}", 400, "Malformed request: GET /v1/models/toy/versions/99"),
        ("GET", "/", 404, "Malformed request: GET /"),
    ],
)
def test_paths_that_lead_nowhere(ask, method, path, status, message):
    answered, answer = ask(method, path, {"inputs": COLUMNS} if method == "POST" else None)
    assert answered == status
    assert answer["error"].startswith(message)


def test_an_error_of_the_graph_is_a_400(predict):
    status, answer = predict({"signature_name": "pick", "instances": [0, 5]})
    assert status == 400
    assert answer["error"].startswith("Signature 'pick': ") and "indices[1] = 5 is not in [0, 2)" in answer["error"]


def test_a_dtype_json_does_not_carry_is_a_501_that_names_it(predict):
    assert predict({"signature_name": "half", "instances": [1.0]}) == (
        501,
        {"error": "Output 'z' has dtype bfloat16, which JSON does not carry."},
    )


def test_a_body_above_16_mib_is_refused(predict):
    status, answer = predict(b" " * (16 * 1024 * 1024 + 1))
    limit = "16777216 bytes (the server's --max-message-bytes)"
    assert (status, answer) == (413, {"error": f"The body must not exceed {limit}. Received: 16777217 bytes."})


PACKED = gzip.compress(json.dumps({"signature_name": "lone", "inputs": [1.0]}).encode())


def test_a_packed_body_is_unpacked(predict):
    assert predict(PACKED, **{"Content-Encoding": "gzip"}) == (200, {"outputs": [0.6]})


@pytest.mark.parametrize(
    ("body", "encoding", "status", "message"),
    [
        (b"nonsense", "gzip", 400, "The body is not gzip: Error -3 while decompressing data: incorrect header check."),
        (PACKED[:-9], "gzip", 400, "The body is incomplete: its gzip stream does not end."),
        (PACKED, "br", 400, "Content-Encoding must be gzip or none. Received: 'br'."),
        (PACKED + b"more", "gzip", 400, "The body goes on for 4 bytes after its gzip stream."),
        (
            gzip.compress(b" " * (16 * 1024 * 1024 + 1)),
            "gzip",
            413,
            "The unpacked body must not exceed 16777216 bytes (the server's --max-message-bytes).",
        ),
    ],
    ids=["nonsense", "cut off", "unknown", "longer", "too large"],
)
def test_a_badly_packed_body_is_the_clients_fault(predict, caplog, body, encoding, status, message):
    assert predict(body, **{"Content-Encoding": encoding}) == (status, {"error": message})
    assert caplog.records == []


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_a_client_that_goes_away_leaves_no_traceback(server, caplog, how):
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=10) as connection:
        connection.sendall(b"POST /v1/models/toy:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        time.sleep(0.2)  # until the server waits for the rest
        if how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    time.sleep(0.2)
    assert caplog.records == []


def test_bytes_that_are_no_http_do_no_harm(server):
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=10) as connection:
        connection.sendall(b"\x00\xff nothing of the kind\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.0 400")


@pytest.mark.parametrize("path", ["/v1/models/toy", "/v1/models/toy/versions/3"])
def test_status_in_tf_servings_form(ask, path):
    version = {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert ask("GET", path) == (200, {"model_version_status": [version]})


@pytest.mark.parametrize("path", ["/v1/models/toy/metadata", "/v1/models/toy/versions/3/metadata"])
def test_metadata_in_tf_servings_form(ask, path):
    status, answer = ask("GET", path)
    assert status == 200
    assert answer["model_spec"] == {"name": "toy", "version": "3", "signature_name": ""}
    definition = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert definition["method_name"] == "tensorflow/serving/predict"
    assert set(definition["inputs"]) == set(FEATURES)
    assert definition["inputs"]["tags"] == {
        "dtype": "DT_STRING",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}] * 2, "unknown_rank": False},
        "name": "serving_default_tags:0",
    }
