"""Events with lists and numbers, from the log to the answer of a server: records, graph, page, clients, drift."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.support.layer_checks import randomize_weights
from tests.support.rich_events import rich_problem
from tests.support.tiny_problem import prepare, tiny_log, tiny_model, whole_split
from tfmtl.data import PreparedData
from tfmtl.data.feature_counts import FeatureCounts
from tfmtl.data.feature_profile import FeatureProfile
from tfmtl.export import export
from tfmtl.export.raw_batch import to_examples, to_tensors
from tfmtl.export.replay import replay
from tfmtl.report import data_report
from tfmtl.schema import HistoryFeature, Keys, MatchFeature, SequenceFeature
from tfmtl.serving.grpc_client import GrpcClient
from tfmtl.serving.local_server import LocalServer
from tfmtl.serving.protocol.feature_error import FeatureError
from tfmtl.serving.rest_client import RestClient
from tfmtl.serving.server.batching_options import BatchingOptions
from tfmtl.training.label_leaks import find_label_leaks


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare(tmp_path_factory.mktemp("rich"), rich_problem())


@pytest.fixture(scope="module")
def version(data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tiny_model(data.inputs, "dtrn", pooling="target")
    randomize_weights(model)
    for weight in model.trainable_weights:
        weight.assign(0.3 * weight)
    return export(model, data, tmp_path_factory.mktemp("rich_export") / "rich")


@pytest.fixture(scope="module")
def requests(data: PreparedData) -> list[dict[str, Any]]:
    """Of test rows, those with the longest histories first."""
    found = [request["features"] for request in data.requests()]
    return sorted(found, key=lambda each: -len(each["clicked__item"]))


@pytest.mark.parametrize(("jit_compile", "balancing"), [(True, None), (False, "pcgrad")])
def test_a_step_moves_what_events_read(data: PreparedData, jit_compile: bool, balancing: str | None) -> None:
    """Of lists and numbers that events alone hold: the example itself has none."""
    features, labels = whole_split(data, "train")
    features = {
        key: tf.zeros_like(value) if key in ("tags", "cost__z", "cost") else value for key, value in features.items()
    }
    model = tiny_model(data.inputs, "ple", pooling="mean")
    model.compile(optimizer="sgd", balancing=balancing, jit_compile=jit_compile)
    model(features)
    table = model.embedding.plan.tables["tags"]
    before = model.embedding.tables[str(table.width)].numpy(), model.embedding.number_kernel.numpy()
    model.train_on_batch(features, labels)
    moved = np.abs(model.embedding.tables[str(table.width)].numpy() - before[0])[
        table.start : table.start + table.count
    ]
    assert np.any(moved[2:]) and not np.any(moved[0])
    place = model.embedding.plan.number_places["clicked__cost__z"]
    assert place == model.embedding.plan.number_places["cost__z"]
    assert np.any(model.embedding.number_kernel.numpy()[place] != before[1][place])


def test_every_signature_answers_as_the_training_graph(version: Path) -> None:
    differences = replay(version).differences
    assert {"serving_default", "serve_examples", "rank"} <= set(differences)
    assert max(differences.values()) < 1e-5


def test_history_holds_lists_and_numbers(requests: list[dict[str, Any]]) -> None:
    event = requests[0]
    assert len(event["clicked__tags"]) == len(event["clicked__item"]) > 5  # as many as derived features read
    assert {type(item) for item in event["clicked__tags"]} == {list}
    assert len({len(item) for item in event["clicked__tags"]}) > 1
    assert {type(item) for item in event["clicked__views"]} == {float}


def test_the_page_says_the_shapes(version: Path) -> None:
    page = (version / "assets.extra" / "signature.md").read_text()
    assert "| `clicked__tags` | string | `(B, n, m)` |" in page
    assert "| `clicked__cost` | float32 | `(B, n)` |" in page


def test_every_list_and_number_of_an_event_counts(version: Path, requests: list[dict[str, Any]]) -> None:
    """Changed in the newest event alone, each changes the answer."""
    serve = tf.saved_model.load(str(version)).signatures["serving_default"]
    signature = serve.structured_input_signature[1]
    plain = serve(**to_tensors(requests[:1], signature))["click"].numpy()
    for key, other in (
        ("clicked__tags", ["tag9"]),
        ("clicked__cost", -50.0),
        ("seen__age", 90.0),
        ("clicked__views", 0.0),
    ):
        changed = {**requests[0], key: [*requests[0][key][:-1], other]}
        assert serve(**to_tensors([changed], signature))["click"].numpy() != plain, key


@pytest.mark.process
def test_clients_send_lists_of_lists(version: Path, requests: list[dict[str, Any]]) -> None:
    """Rows of any lengths, over both protocols, through a server that puts requests together."""
    loaded = tf.saved_model.load(str(version)).signatures["serving_default"]
    rows = [requests[0], {**requests[1], "clicked__tags": [[] for _ in requests[1]["clicked__tags"]]}, requests[-1]]
    expected = loaded(**to_tensors(rows, loaded.structured_input_signature[1]))
    short = {**rows[0], "clicked__tags": rows[0]["clicked__tags"][1:]}
    flat = {**rows[0], "clicked__tags": ["tag1"] * len(rows[0]["clicked__tags"])}
    with (
        LocalServer(version.parent, "rich", grpc_port=0, rest_port=0, batching=BatchingOptions(8, 2000)) as server,
        GrpcClient(f"127.0.0.1:{server.grpc_port}", "rich") as grpc_client,
        RestClient(f"127.0.0.1:{server.rest_port}", "rich") as rest_client,
    ):
        for client in (grpc_client, rest_client):
            for size in (1, 3):
                found = client.predict(rows[:size], timeout=60)
                np.testing.assert_allclose(found["click"], expected["click"].numpy()[:size], atol=1e-6)
            with pytest.raises(FeatureError, match=r"feature 'clicked__.*' must have a value for each of the"):
                client.predict([short], timeout=60)
            with pytest.raises(FeatureError, match=r"row 0: feature 'clicked__tags' must"):
                client.predict([flat], timeout=60)


def test_an_example_without_lengths_of_its_lists_is_refused(version: Path, requests: list[dict[str, Any]]) -> None:
    loaded = tf.saved_model.load(str(version))
    signature = loaded.signatures["serving_default"].structured_input_signature[1]
    example = tf.train.Example.FromString(to_examples(requests[:1], signature)[0])
    del example.features.feature["clicked__tags:lengths"]
    with pytest.raises(tf.errors.InvalidArgumentError):
        loaded.signatures["serve_examples"](examples=tf.constant([example.SerializeToString()]))


def test_events_are_counted_as_by_plain_loops(data: PreparedData) -> None:
    counts = FeatureCounts(data.inputs)
    tags: dict[int, int] = {}
    costs: list[float] = []
    for features, _, _ in data.split("train", 50).as_numpy_iterator():
        counts.add(features)
        is_event = features["clicked__item"] != 0
        for index in features["clicked__tags"][is_event].ravel():
            if index:
                tags[int(index)] = tags.get(int(index), 0) + 1
        costs += features["clicked__views"][is_event].tolist()
    assert {i: n for i, n in enumerate(counts.events["clicked__tags"].tolist()) if n} == tags
    assert counts.numbers["clicked__views"].tolist() == costs
    profile = FeatureProfile.of_counts(counts, 1)
    assert {"clicked__tags", "clicked__cost", "clicked__views", "seen__age"} <= set(profile.columns)
    assert all(each.psi == 0.0 for each in profile.compare(counts))
    assert FeatureProfile.from_dict(json.loads(json.dumps(profile.to_dict()))) == profile


def test_reports_take_them(data: PreparedData, tmp_path: Path) -> None:
    facts = data_report(data, tmp_path / "report.html")
    assert {"clicked__views", "seen__age"} <= {row["name"] for row in facts["drift"]}
    find_label_leaks(data)


def test_a_tower_reads_them(data: PreparedData) -> None:
    """In Keras 2, as retrieval trains it."""
    from tfmtl.retrieval.tower import EmbeddingTables, Tower

    features, _, _ = next(data.split("test", 50).as_numpy_iterator())
    tower = Tower("user", data.inputs, EmbeddingTables(data.inputs, 8), (), data.problem.sequences[:1], (16, 4))
    plain = tower(features).numpy()
    np.testing.assert_allclose(np.linalg.norm(plain, axis=1), 1.0, atol=1e-5)
    has_event = features["clicked__item"][:, 0] != 0
    for key in ("clicked__tags", "clicked__views"):
        moved = tower(
            {**features, key: features[key][:, :, ::-1] * 0 + 2 if key == "clicked__tags" else features[key] + 1.0}
        )
        assert np.any(moved.numpy()[has_event] != plain[has_event]), key


def test_a_model_of_rows_own_lists_is_served_like_any_other(tmp_path: Path) -> None:
    """Without times and users: histories of one list column, counted and matched."""
    log = tiny_log().to_pylist()
    read = [[f"i{(n + k) % 30}" for k in range(n % 9)] for n in range(len(log))]
    paid = [[None if k == 2 else 1.5 * k for k in range(n % 9)] for n in range(len(log))]
    rows = pa.Table.from_pylist([{**row, "read": read[n], "paid": paid[n]} for n, row in enumerate(log)])
    own = SequenceFeature("read", ("item", "cost"), max_length=4, source="row", lists=("read", "paid"))
    features = (*rich_problem().features[:-2], HistoryFeature("read", mean=("cost",)), MatchFeature("read", ("item",)))
    problem = rich_problem(keys=Keys(time="time"), features=features, sequences=(own,))
    data = prepare(tmp_path, problem, log=rows)
    model = tiny_model(data.inputs, "dtrn", pooling="target")
    randomize_weights(model)
    for weight in model.trainable_weights:
        weight.assign(0.3 * weight)
    version = export(model, data, tmp_path / "export")
    assert max(replay(version).differences.values()) < 1e-5
    golden = [request["features"] for request in data.requests()]
    assert max(len(each["read__item"]) for each in golden) == 8  # more than the network reads: it is counted
    assert set(golden[0]) == {each.key for each in problem.inputs} and "time" not in golden[0]
    serve = tf.saved_model.load(str(version)).signatures["serving_default"]
    request = next(each for each in golden if len(each["read__item"]) > 2)
    matched = {**request, "item": request["read__item"][-1]}
    other = {**matched, "read__item": [*request["read__item"][:-1], "i999"]}
    signature = serve.structured_input_signature[1]
    assert serve(**to_tensors([matched], signature))["click"] != serve(**to_tensors([other], signature))["click"]
