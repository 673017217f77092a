"""The exported graph answers as the network: in a fresh process, without Python, and through a server."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.support.cpp_replay import Replay
from tests.support.saved_model_operations import foreign_operations
from tests.unit.operators.small_problems import masked, masked_network, network, waves
from tfmtl.export import VerificationError, verify
from tfmtl.export.replay_recorded import replay_recorded
from tfmtl.operators import OperatorNetwork, export_operator
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.operator_client import OperatorClient
from tfmtl.serving.protocol.feature_error import FeatureError
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.server.served_model import ServedModel

SIGNATURES = {"serving_default", "encode", "query", "serve_shared"}


@pytest.fixture(scope="module")
def made() -> OperatorNetwork:
    return network(waves())


@pytest.fixture(scope="module")
def version(made: OperatorNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_operator(made, waves(), tmp_path_factory.mktemp("export"), "waves")


@pytest.mark.process
def test_a_fresh_process_answers_the_same(version: Path) -> None:
    result = verify(version)
    assert (result.requests, set(result.differences)) == (8, SIGNATURES)
    assert result.largest <= 1e-5


@pytest.mark.process
def test_other_weights_do_not_pass(version: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(version, tmp_path / "1"))
    other = network(waves(seed=5))
    other.bias.assign([5.0])
    moved = export_operator(other, waves(), tmp_path / "other", "waves")
    shutil.copytree(moved / "variables", copy / "variables", dirs_exist_ok=True)
    assert replay_recorded(copy).differences["query"] > 1e-3
    (copy / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"")
    with pytest.raises(ValueError, match="holds no request"):
        replay_recorded(copy)
    (copy / "assets.extra" / "tf_serving_warmup_requests").unlink()
    with pytest.raises(VerificationError, match=r"has no assets.extra/tf_serving_warmup_requests"):
        verify(copy)


@pytest.mark.slow
def test_the_cpp_runtime_answers_the_same(version: Path, cpp_replay: Replay) -> None:
    result = cpp_replay(version)
    assert result.code == 0, result.err
    assert set(result.gaps) == SIGNATURES
    assert max(result.gaps.values()) <= 1e-5
    assert foreign_operations(version) == set()


def test_encode_and_query_take_any_number_of_points_and_rows(made: OperatorNetwork, version: Path) -> None:
    loaded = tf.saved_model.load(str(version)).signatures
    data = waves()
    inputs = {name: tf.constant(values[:3]) for name, values in data.inputs.items()}
    codes = loaded["encode"](**inputs)["codes"]
    for count in (1, 5, 40):
        points = tf.random.uniform((3, count, 2), seed=1)
        values = loaded["query"](codes=codes, points=points)["values"]
        np.testing.assert_allclose(values, made({**inputs, "points": points}), rtol=1e-5, atol=1e-6)
        whole = loaded["serving_default"](**inputs, points=points)["values"]
        np.testing.assert_array_equal(values, whole)


def test_a_mask_is_an_input_where_the_network_uses_one(tmp_path: Path) -> None:
    data = masked()
    made = masked_network(data)
    path = export_operator(made, data, tmp_path, "masked")
    assert replay_recorded(path).largest <= 1e-5
    serve = tf.saved_model.load(str(path)).signatures["serve_shared"]
    inputs = {name: tf.constant(values, tf.float32) for name, values in data.inputs.items()}
    values = serve(**inputs, points=tf.constant(data.points[None]), mask=tf.constant(data.mask, tf.float32))["values"]
    assert not np.any(values.numpy()[~data.mask])
    np.testing.assert_allclose(values, made(data.features()), rtol=1e-5, atol=1e-6)


def test_files_beside_the_graph_say_how_to_ask(version: Path) -> None:
    extra = version / "assets.extra"
    facts = json.loads((extra / "operator.json").read_text())
    assert [name for name, each in facts["signatures"].items() if not each["batched"]] == ["serve_shared"]
    assert facts["coefficient_ranges"]["coefficients"][0][0] < facts["coefficient_ranges"]["coefficients"][1][0]
    page = (extra / "signature.md").read_text()
    assert "NOT batched" in page
    assert "| `points` | float32 | (any, any, 2) |" in page


def test_what_cannot_be_exported_is_refused(made: OperatorNetwork, tmp_path: Path) -> None:
    def fails(path: Path) -> None:
        raise RuntimeError("not good enough")

    with pytest.raises(RuntimeError, match="not good enough"):
        export_operator(made, waves(), tmp_path, "waves", check=fails)
    assert not [path for path in tmp_path.iterdir() if path.name.isdigit()]
    with pytest.raises(ValueError, match=r"`data.mask` must be given, the network uses one"):
        export_operator(masked_network(masked()), waves(), tmp_path, "waves")


def test_the_local_server_serves_it_and_the_client_warns(made: OperatorNetwork, version: Path) -> None:
    data = waves()
    inputs = {name: values[:2] for name, values in data.inputs.items()}
    points = np.repeat(data.points[None], 2, axis=0)
    expected = made({**inputs, "points": points})
    with LocalServer(version.parent, "waves", grpc_port=0, rest_port=0) as server:
        client = OperatorClient(RestClient(f"127.0.0.1:{server.rest_port}", "waves"))
        np.testing.assert_allclose(
            client.predict({**inputs, "points": points})["values"], expected, rtol=1e-4, atol=1e-5
        )
        codes = client.predict(inputs, signature_name="encode")["codes"]
        answer = client.predict({"codes": codes, "points": points}, signature_name="query")["values"]
        np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)
        shared = client.predict({**inputs, "points": points[:1]}, signature_name="serve_shared")["values"]
        np.testing.assert_allclose(shared, expected, rtol=1e-4, atol=1e-5)
        odd = {**inputs, "coefficients": inputs["coefficients"] + 9.0, "points": points}
        with pytest.warns(UserWarning, match=r"OperatorClient: `coefficients\[0\]` lies outside of its training range"):
            assert np.all(np.isfinite(client.predict(odd)["values"]))
        with pytest.raises(FeatureError, match="points"):
            client.predict({**inputs, "points": points[..., :1]})
        gap = np.array(inputs["initial"])
        gap[1, 3] = np.nan
        with pytest.raises(
            FeatureError, match=r"`initial` must be finite. Received: initial='NaN or infinity in row 1'"
        ):
            client.predict({**inputs, "initial": gap, "points": points})
        for shape in ((2, 9), (2, 1), (2, 4, 8)):  # one value would be taken for all points
            with pytest.raises(FeatureError, match=r"`mask.shape` must be \(B, 32\), one value per point. Received"):
                client.predict({**inputs, "points": points, "mask": np.ones(shape, np.float32)})


def test_shared_points_are_never_batched(version: Path) -> None:
    model = ServedModel(version, 1)
    assert {name for name in SIGNATURES if model.is_batchable(name)} == SIGNATURES - {"serve_shared"}
