"""Several models in one server, their labels, and another configuration while it runs."""

import json
from http.client import HTTPConnection

import grpc
import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc, prediction_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2

from tests.serving.test_grpc_service import TIMEOUT, make_request, refused
from tests.serving.toy_models import break_version, export
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.server.model_config import ModelConfig, model_configs
from tfmtl.serving.server.security import Security
from tfmtl.serving.serving_error import ServingError

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two models: `a` in versions 1 and 2, `b` in version 5; an answer's fraction tells which it is from."""
    root = tmp_path_factory.mktemp("models")
    for name, version, offset in (("a", 1, 0.25), ("a", 2, 0.5), ("b", 5, 0.75)):
        (root / name).mkdir(exist_ok=True)
        export(root / name, version, offset)
    return root


def config(folders, text):
    return text.replace("$", str(folders))


A_AND_B = """
    model_config_list {
      config {
        name: "a" base_path: "$/a" model_platform: "tensorflow"
        model_version_policy { specific { versions: 1 versions: 2 } }
        version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 }
      }
      config { name: "b" base_path: "$/b" }
    }"""


@pytest.fixture
def server(folders, tmp_path):
    path = tmp_path / "models.config"
    path.write_text(config(folders, A_AND_B))
    security = Security(allow_reload=True, reload_base=folders.parent)
    with LocalServer.from_config_file(path, grpc_port=0, rest_port=0, poll_seconds=0.05, security=security) as running:
        yield running


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield channel


@pytest.fixture
def ask(channel):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def predict(name, version=None, label=""):
        request = make_request({"x": np.float32([0.0])}, name, "lone", version)
        if label:
            request.model_spec.version_label = label
        try:
            return stub.Predict(request, timeout=TIMEOUT).outputs["y"].float_val[0]
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"

    return predict


@pytest.fixture
def reload(channel, folders):
    stub = model_service_pb2_grpc.ModelServiceStub(channel)

    def send(text):
        request = model_management_pb2.ReloadConfigRequest()
        text_format.Parse(config(folders, text), request.config)
        try:
            return stub.HandleReloadConfigRequest(request, timeout=TIMEOUT).status.error_code
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"

    return send


def test_models_versions_and_labels_are_told_apart(ask, server):
    assert [ask("a"), ask("b")] == [0.5, 0.75]
    assert [ask("a", version=1), ask("a", label="stable"), ask("a", label="canary")] == [0.25, 0.25, 0.5]
    assert ask("c") == "NOT_FOUND: Servable not found for request: model 'c'. Served models: ['a', 'b']."
    assert ask("a", label="new") == (
        "INVALID_ARGUMENT: Unrecognized servable version label 'new' of model 'a'. Known labels: ['canary', 'stable']."
    )
    connection = HTTPConnection("127.0.0.1", server.rest_port, timeout=TIMEOUT)
    body = json.dumps({"signature_name": "lone", "instances": [0.0]})
    connection.request("POST", "/v1/models/a/labels/stable:predict", body)
    assert json.loads(connection.getresponse().read()) == {"predictions": [0.25]}
    connection.close()


def test_another_configuration_takes_over_and_keeps_what_stays(ask, reload):
    assert (
        reload('model_config_list { config { name: "a" base_path: "$/a" } config { name: "c" base_path: "$/b" } }') == 0
    )
    assert [ask("a"), ask("c")] == [0.5, 0.75]
    assert ask("b").startswith("NOT_FOUND: ")
    assert ask("a", version=1).endswith("Available versions: [2].")
    assert ask("a", label="stable").endswith("Known labels: [].")
    everything = 'model_config_list { config { name: "a" base_path: "$/a" model_version_policy { all {} } } }'
    assert reload(everything) == 0
    assert [ask("a", version=1), ask("a", version=2)] == [0.25, 0.5]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "INVALID_ARGUMENT: The configuration must be a model_config_list of at least one model."),
        ("model_config_list { }", "INVALID_ARGUMENT: The configuration must be a model_config_list of at least one"),
        ("custom_model_config { }", "INVALID_ARGUMENT: The configuration must be a model_config_list"),
        (
            'model_config_list { config { name: "a" base_path: "$/none" } }',
            "INVALID_ARGUMENT: Model 'a': base_path must be a directory. Received: '",
        ),
        ('model_config_list { config { name: "a" } }', "INVALID_ARGUMENT: Model 'a': base_path must be a directory."),
        (
            'model_config_list { config { name: "a/b" base_path: "$/a" } }',
            "INVALID_ARGUMENT: ModelConfig: `name` must be a non-empty name without '/' and ':'.",
        ),
        (
            'model_config_list { config { name: "a" base_path: "$/a" model_platform: "pmml" } }',
            "INVALID_ARGUMENT: Model 'a': model_platform must be 'tensorflow'. Received: 'pmml'.",
        ),
        (
            'model_config_list { config { name: "a" base_path: "$/a" } config { name: "a" base_path: "$/b" } }',
            "INVALID_ARGUMENT: The configuration has model 'a' 2 times.",
        ),
        (
            'model_config_list { config { name: "a" base_path: "$/a" model_version_policy { specific { } } } }',
            "INVALID_ARGUMENT: Model 'a': the policy 'specific' must name at least one version.",
        ),
        (
            'model_config_list { config { name: "c" base_path: "$/b" } config { name: "a" base_path: "$/a" '
            "model_version_policy { specific { versions: 9 } } } }",
            "FAILED_PRECONDITION: LocalServer: version 9 under ",
        ),
        (
            'model_config_list { config { name: "a" base_path: "$/a" version_labels { key: "old" value: 1 } } }',
            "FAILED_PRECONDITION: LocalServer: version 1 under ",
        ),
        (
            'model_config_list { config { name: "a" base_path: "$/a" model_version_policy { specific { versions: 1 } } '
            'version_labels { key: "new" value: 2 } } }',
            "INVALID_ARGUMENT: ModelConfig: `labels` must stand for served versions. Received: 'new' for version 2",
        ),
    ],
    ids=range(12),
)
def test_a_bad_configuration_changes_nothing_and_says_why(ask, reload, text, error):
    assert str(reload(text)).startswith(error)
    assert [ask("a", label="stable"), ask("a"), ask("b")] == [0.25, 0.5, 0.75]
    assert ask("c").startswith("NOT_FOUND: ")


def test_a_model_elsewhere_is_refused_wherever_links_lead(reload, folders, tmp_path):
    (folders.parent / "link").symlink_to("/")
    for path in ("/etc", "$/../..", f"{folders.parent}/link/etc", "\\000", "/none", "x"):
        error = str(reload(f'model_config_list {{ config {{ name: "a" base_path: "{path}" }} }}'))
        assert error.startswith("PERMISSION_DENIED: Model 'a': base_path must lie below "), path
    (folders.parent / "link").unlink()


@pytest.mark.parametrize("names", [[f"model{number}" for number in range(60_000)], ["a"] * 60_000, ["a" * 10**6] * 2])
def test_a_configuration_of_many_names_is_refused_at_once(folders, names):
    """Each compared with each, it would take a minute, and nothing else would be answered."""
    config = model_server_config_pb2.ModelServerConfig()
    for name in names:
        config.model_config_list.config.add(name=name, base_path=str(folders / "a"))
    with pytest.raises(ServingError, match=r"more than 1000 models. Received: 60000|has model 'aaa.*2 times"):
        model_configs(config)
    del config.model_config_list.config[1:]
    policy = config.model_config_list.config[0].model_version_policy
    policy.specific.versions.extend(range(2000))
    with pytest.raises(ServingError, match="more than 1000 versions or labels"):
        model_configs(config)


class TestWhoMayExchangeTheModels:
    RELOAD = 'model_config_list { config { name: "a" base_path: "$/a" } }'

    def ask(self, folders, security, metadata=()):
        request = model_management_pb2.ReloadConfigRequest()
        text_format.Parse(config(folders, self.RELOAD), request.config)
        with (
            LocalServer(folders / "a", "a", grpc_port=0, rest_port=0, security=security) as server,
            grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel,
        ):
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            try:
                stub.HandleReloadConfigRequest(request, timeout=TIMEOUT, metadata=metadata)
            except grpc.RpcError as error:
                return f"{error.code().name}: {error.details()}"
            return "OK"

    def test_nobody_by_default(self, folders):
        error = self.ask(folders, None)
        assert error.startswith("PERMISSION_DENIED: This server does not change its models on request. Start")

    def test_with_the_option_whoever_may_ask(self, folders):
        assert self.ask(folders, Security(allow_reload=True)) == "OK"

    def test_with_a_token_of_its_own_whoever_has_that(self, folders, tmp_path):
        for name in ("general", "special"):
            (tmp_path / name).write_text(name * 4)
        security = Security(token_file=tmp_path / "general", reload_token_file=tmp_path / "special")
        assert self.ask(folders, security, [("authorization", "Bearer " + "special" * 4)]) == "OK"
        assert self.ask(folders, security, [("authorization", "Bearer " + "general" * 4)]).startswith("UNAUTHENTICATED")
        assert self.ask(folders, Security(reload_token_file=tmp_path / "special")).startswith("UNAUTHENTICATED")


def test_a_configuration_with_a_broken_version_is_refused_with_its_error(ask, reload, folders, tmp_path):
    broken = break_version(folders / "a" / "1", tmp_path, 1)
    error = reload(f'model_config_list {{ config {{ name: "b" base_path: "{broken.parent}" }} }}')
    assert error.startswith("FAILED_PRECONDITION: LocalServer: no version under ") and "DecodeError" in error
    assert [ask("a"), ask("b")] == [0.5, 0.75]


def test_a_server_does_not_start_with_a_bad_file(tmp_path, folders):
    path = tmp_path / "models.config"
    path.write_text("model_config_list [")
    with pytest.raises(
        ValueError, match="LocalServer: `model_config_file` must be a ModelServerConfig in protobuf text"
    ):
        LocalServer.from_config_file(path)
    path.write_text(config(folders, A_AND_B).replace("value: 2", "value: 3").replace("versions: 2", "versions: 3"))
    with pytest.raises(ServingError, match=r"LocalServer: version 3 under .*/a cannot be loaded"):
        LocalServer.from_config_file(path, grpc_port=0, rest_port=0).start()


def test_arguments_of_a_model_are_checked(tmp_path):
    with pytest.raises(ValueError, match=r"ModelConfig: `num_versions` must be at least 1\. Received: num_versions=0"):
        ModelConfig("a", tmp_path, 0)


def test_metadata_and_status_go_by_label(channel):
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

    metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    metadata.model_spec.name, metadata.model_spec.version_label = "a", "stable"
    response = prediction_service_pb2_grpc.PredictionServiceStub(channel).GetModelMetadata(metadata, timeout=TIMEOUT)
    assert response.model_spec.version.value == 1
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name, status.model_spec.version_label = "a", "canary"
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    assert [each.version for each in stub.GetModelStatus(status, timeout=TIMEOUT).model_version_status] == [2]
    status.model_spec.version_label = "none"
    assert refused(stub.GetModelStatus, status)[0] == grpc.StatusCode.INVALID_ARGUMENT
