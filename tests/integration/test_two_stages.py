"""Retrieval and ranking as a user joins them: one command on a tiny log, then what its folders must hold."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
import tensorflow as tf

from tests.support.command import tfmtl
from tests.support.full_disk import contents, room_for
from tests.support.tiny_problem import tiny_problem
from tests.support.two_stages import ITEM, two_stage_log
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import candidate_features, user_signature
from tfmtl.export.raw_batch import to_tensors
from tfmtl.retrieval import ComposeOptions, compose, training_items

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(two_stages: tuple[Path, str]) -> PreparedData:
    return PreparedData(two_stages[0] / "data")


@pytest.fixture(scope="module")
def parts(two_stages: tuple[Path, str]) -> dict[str, Any]:
    """The three SavedModels, loaded."""
    return {
        name: tf.saved_model.load(str(two_stages[0] / name / "1")) for name in ("retrieval", "ranking", "two_stage")
    }


@pytest.fixture(scope="module")
def all_seen(two_stages: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Joined without leaving anything out, ordered by the first task, two candidates."""
    output = tmp_path_factory.mktemp("all_seen") / "joined"
    path = compose(
        two_stages[0] / "retrieval", two_stages[0] / "ranking" / "1", output, options=ComposeOptions(candidates=2)
    )
    assert path == output / "1"
    return tf.saved_model.load(str(path))


@pytest.fixture(scope="module")
def users(two_stages: tuple[Path, str], data: PreparedData) -> list[dict[str, Any]]:
    """The user side of real requests."""
    requests = [request["features"] for request in data.requests()]
    return [{name: request[name] for name in user_signature(data.problem)} for request in requests]


def recommended(model: Any, data: PreparedData, users: list[dict[str, Any]], k: int) -> dict[str, np.ndarray]:
    tensors = to_tensors(users, user_signature(data.problem))
    outputs = model.signatures["recommend"](**tensors, k=tf.constant(k))
    return {name: values.numpy() for name, values in outputs.items()}


def train_rows(data: PreparedData) -> list[dict[str, Any]]:
    """The training part of the log, oldest first: it is in order of time and split by it."""
    return two_stage_log().to_pylist()[: data.num_examples("train")]


# === The command ===


def test_screen_tells_recall_and_ranking_quality(two_stages: tuple[Path, str]) -> None:
    output, screen = two_stages
    for text in ("epoch 8: loss", "popularity", "two towers", "by retrieval", "by click", "NDCG@10", "GAUC"):
        assert text in screen
    results = json.loads((output / "two_stage_results.json").read_text())
    assert results["chosen"] in ("click", "click*retrieval")
    for split in ("valid", "test"):
        quality = results["quality"][split]
        for order in ("retrieval", "click", "click*retrieval"):
            assert 0.0 < quality["orders"][order]["ndcg"] <= quality["orders"][order]["recall"] <= quality["found"]
    record = json.loads((output / "retrieval" / "1" / "assets.extra" / "retrieval.json").read_text())
    assert (record["task"], record["item"], len(record["epochs"])) == ("click", ITEM, 8)
    best = max(epoch["recall@50"] for epoch in record["epochs"])
    assert record["recall"]["valid"]["two_tower"]["recall@50"] == best, "the best epoch is the one exported"
    grpc, rest = (line for line in screen.splitlines() if line.startswith(("  gRPC: ", "  REST: ")))
    assert grpc.removeprefix("  gRPC: ") == rest.removeprefix("  REST: ")


def test_tfrs_stays_in_its_own_process(two_stages: tuple[Path, str]) -> None:
    assert not {"tensorflow_recommenders", "tf_keras"} & set(sys.modules)
    assert tf.keras.version().startswith("3")


def test_same_seed_gives_the_same_index(two_stages: tuple[Path, str], data: PreparedData, tmp_path: Path) -> None:
    result = tfmtl("retrieve", two_stages[0] / "data", "-o", tmp_path / "again")
    assert result.code == 0, result.err
    variables = [
        {name: tf.train.load_variable(str(path), name) for name, _ in tf.train.list_variables(str(path))}
        for path in (
            folder / "1" / "variables" / "variables" for folder in (two_stages[0] / "retrieval", tmp_path / "again")
        )
    ]
    names = [name for name in variables[0] if name.endswith("VARIABLE_VALUE")]
    assert len(names) > 10
    for name in names:
        np.testing.assert_array_equal(variables[0][name], variables[1][name])


# === The index ===


def test_index_holds_the_training_items_with_what_they_had_last(parts: dict[str, Any], data: PreparedData) -> None:
    latest = {row[ITEM]: row for row in train_rows(data)}
    assert len(latest) == 30
    assert "late" not in latest
    outputs = parts["retrieval"].signatures["retrieve"](
        **to_tensors([data.requests()[0]["features"]], user_signature(data.problem)), k=tf.constant(1000)
    )
    found = {name: outputs[name][0].numpy() for name in candidate_features(data.problem)}
    assert sorted(value.decode() for value in found[ITEM]) == sorted(latest)
    for place, value in enumerate(found[ITEM]):
        row = latest[value.decode()]
        assert found["topic"][place].decode() == (row["topic"] or "")
        assert [tag.decode() for tag in found["tags"][place] if tag] == (row["tags"].split("|") if row["tags"] else [])[
            :3
        ]
        price = float("nan") if row["price"] is None else row["price"]
        np.testing.assert_array_equal(found["price"][place], np.float32(price))
        assert found["views"][place] == np.float32(row["views"])


def test_embeddings_give_the_scores(parts: dict[str, Any], data: PreparedData, users: list[dict[str, Any]]) -> None:
    signatures = parts["retrieval"].signatures
    tensors = to_tensors(users, user_signature(data.problem))
    found = signatures["retrieve"](**tensors, k=tf.constant(5))
    vectors = signatures["embed_user"](**tensors)["embedding"].numpy()
    for row in range(len(users)):
        items = {name: found[name][row] for name in candidate_features(data.problem)}
        scores = signatures["embed_item"](**items)["embedding"].numpy() @ vectors[row]
        np.testing.assert_allclose(found["retrieval"][row], scores, rtol=1e-4, atol=1e-4)
        assert np.all(np.diff(found["retrieval"][row]) <= 0)


def test_seen_items_are_left_out(parts: dict[str, Any], data: PreparedData, users: list[dict[str, Any]]) -> None:
    tensors = to_tensors(users, user_signature(data.problem))
    everything, unseen = (
        {
            name: values.numpy()
            for name, values in parts["retrieval"].signatures[name](**tensors, k=tf.constant(99)).items()
        }
        for name in ("retrieve", "retrieve_unseen")
    )
    padded = 0
    for row, user in enumerate(users):
        seen = {value.encode() for key in ("clicked__item", "bought__item") for value in user[key]}
        kept = [value for value in everything[ITEM][row] if value not in seen]
        assert unseen[ITEM][row].tolist() == kept + [b""] * (len(everything[ITEM][row]) - len(kept))
        assert not unseen["retrieval"][row][len(kept) :].any()
        padded += len(kept) < len(everything[ITEM][row])
    assert padded > len(users) // 2


def test_log_that_is_another_one_is_refused(data: PreparedData, tmp_path: Path) -> None:
    parquet.write_table(two_stage_log().slice(50), tmp_path / "log.parquet")
    with pytest.raises(ValueError, match="the log must be the one that was prepared, with 360 training examples"):
        training_items(data, tmp_path / "log.parquet")


# === The list ===


def test_list_is_one_stage_after_the_other(
    parts: dict[str, Any], data: PreparedData, users: list[dict[str, Any]]
) -> None:
    """Written out here once more, apart from the code that makes the golden answers."""
    retrieve, rank = parts["retrieval"].signatures["retrieve_unseen"], parts["ranking"].signatures["rank"]
    found = recommended(parts["two_stage"], data, users, 4)
    order_by = json.loads((Path(data.directory).parent / "two_stage_results.json").read_text())["chosen"]
    for row, user in enumerate(users):
        tensors = to_tensors([user], user_signature(data.problem))
        candidates = retrieve(**tensors, k=tf.constant(100))
        is_item = candidates[ITEM][0].numpy() != b""
        items = {name: candidates[name][0][is_item] for name in candidate_features(data.problem)}
        scores = {name: values.numpy() for name, values in rank(**tensors, **items).items()}
        scores["retrieval"] = tf.nn.softmax(candidates["retrieval"][0][is_item]).numpy()
        order = scores["click"] * (scores["retrieval"] if "*" in order_by else 1.0)
        best = np.argsort(-order)[:4]
        assert found[ITEM][row].tolist() == items[ITEM].numpy()[best].tolist()
        np.testing.assert_allclose(found["order"][row], order[best], rtol=1e-5)
        for name, values in scores.items():
            np.testing.assert_allclose(found[name][row], values[best], rtol=1e-5, atol=1e-6)
        assert np.ptp(found["click"][row]) > 0


def test_default_order_is_the_first_task(all_seen: Any, data: PreparedData, users: list[dict[str, Any]]) -> None:
    found = recommended(all_seen, data, users, 2)
    np.testing.assert_array_equal(found["order"], found["click"])
    assert np.all(np.diff(found["click"], axis=1) <= 0)
    np.testing.assert_allclose(found["retrieval"].sum(axis=1), 1.0, rtol=1e-5)


def test_more_than_there_are(
    parts: dict[str, Any], all_seen: Any, data: PreparedData, users: list[dict[str, Any]]
) -> None:
    known = sorted({row[ITEM].encode() for row in train_rows(data)})
    everything = recommended(all_seen, data, users, 1000)
    unseen = recommended(parts["two_stage"], data, users, 1000)
    for row, user in enumerate(users):
        assert sorted(everything[ITEM][row]) == known
        seen = {value.encode() for key in ("clicked__item", "bought__item") for value in user[key]}
        count = len(set(known) - seen)
        assert set(unseen[ITEM][row][:count]) == set(known) - seen
        for name, values in unseen.items():
            assert not any(values[row][count:]), f"{name} of what is no item"


def test_unknown_users_and_items(parts: dict[str, Any], data: PreparedData, users: list[dict[str, Any]]) -> None:
    user = {
        **users[0],
        "user": "nobody",
        "clicked__item": ["no item"] * 3,
        "bought__item": ["never seen"],
        "age": float("nan"),
    }
    user |= {"clicked__topic": [""] * 3, "clicked__time": [users[0]["time"] - 9] * 3}
    empty = {name: [] if isinstance(value, list) else value for name, value in user.items()}
    found = recommended(parts["two_stage"], data, [user, empty], 5)
    for name, values in found.items():
        assert values.shape == (2, 5)
        assert np.all(values != b"") if name == ITEM else np.all(np.isfinite(values))


def test_no_users_have_no_lists(parts: dict[str, Any], all_seen: Any, data: PreparedData) -> None:
    for model in (parts["two_stage"], all_seen):
        for k, length in ((4, 4), (1000, 30)):
            found = recommended(model, data, [], k)
            assert set(found) == {ITEM, "click", "buy", "watch", "retrieval", "order"}
            assert {values.shape for values in found.values()} == {(0, length)}
            assert found[ITEM].dtype == object
            assert {values.dtype for name, values in found.items() if name != ITEM} == {np.dtype(np.float32)}


def test_no_items_are_no_request(parts: dict[str, Any], data: PreparedData, users: list[dict[str, Any]]) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="Input k must be positive"):
        recommended(parts["two_stage"], data, users, 0)


# === What does not belong together ===


def _changed(path: Path, change: str, folder: Path) -> Path:
    """A copy of a version's notes beside a graph without the signatures of tfmtl."""
    copy = folder / "copy" / "1"
    shutil.copytree(path / "assets.extra", copy / "assets.extra")
    module = tf.Module()
    module.f = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec((None,), tf.float32, "x")])
    tf.saved_model.save(module, str(copy), signatures={"serving_default": module.f})
    extra = copy / "assets.extra"
    if change == "problem":
        tiny_problem(sequences=tiny_problem().sequences[:1]).save(extra / "problem.yaml")
    elif change == "vocabulary":
        (extra / "transform.json").write_text('{"digest": "another", "extends": ["a third"]}')
    elif change == "extended":
        digest = json.loads((extra / "transform.json").read_text())["digest"]
        (extra / "transform.json").write_text(json.dumps({"digest": "longer", "extends": [digest]}))
    return copy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("no rank", r"compose: `ranking` must have the signature 'rank'.*It has \['serving_default'\]"),
        ("problem", r"must be of one problem with the retrieval, but they differ in sequences \(seen, bought\)"),
        ("vocabulary", "must have the vocabularies and statistics of the retrieval, as they are or extended"),
        ("extended", "must have the signature 'rank'"),  # the vocabularies are no objection
    ],
)
def test_rankings_that_do_not_fit(two_stages: tuple[Path, str], tmp_path: Path, change: str, message: str) -> None:
    ranking = _changed(two_stages[0] / "ranking" / "1", change, tmp_path)
    with pytest.raises(ValueError, match=message):
        compose(two_stages[0] / "retrieval", ranking, tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def test_seen_items_need_histories_with_ids(two_stages: tuple[Path, str], tmp_path: Path) -> None:
    retrieval = _changed(two_stages[0] / "retrieval" / "1", "no histories", tmp_path)
    with pytest.raises(
        ValueError, match="`exclude_seen` must be False where no sequence of the problem carries the items"
    ):
        compose(retrieval, two_stages[0] / "ranking", tmp_path / "joined", options=ComposeOptions(exclude_seen=True))


def test_full_disk_costs_no_older_version(two_stages: tuple[Path, str], tmp_path: Path) -> None:
    output = tmp_path / "joined"
    shutil.copytree(two_stages[0] / "two_stage", output)
    before = contents(output)
    with room_for(50_000):
        result = tfmtl("compose", two_stages[0] / "retrieval", two_stages[0] / "ranking", "-o", output)
    assert result.code == 2
    assert f"error: compose: cannot write '{output}/2': File too large. Earlier versions are unchanged" in result.err
    assert [path.name for path in output.iterdir()] == ["1"]
    assert contents(output) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ranking", "retrieval"), "`retrieval` must be a folder that `tfmtl retrieve` wrote"),
        (("data", "ranking"), "`retrieval` must hold a version"),
        (("retrieval", "ranking", "--order-by", "clik"), "Did you mean 'click'?"),
        (("retrieval", "ranking", "--candidates", "0"), "`candidates` must be a positive int"),
        (("retrieval", "ranking", "-o", "ranking"), "must be another folder than that of the ranking model"),
        (("retrieval", "ranking", "-o", "data"), "must be a separate folder, but it holds prepared data"),
    ],
)
def test_errors_of_compose(
    two_stages: tuple[Path, str], tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    paths = [two_stages[0] / part if (two_stages[0] / part).is_dir() else part for part in arguments]
    output = () if "-o" in arguments else ("-o", tmp_path / "joined")
    result = tfmtl("compose", *paths, *output)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert message in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--task", "watch"), "retrieve: `task` must be one of ['click', 'buy']"),
        (("--item", "tags"), "retrieve: `item` must be one of ['item', 'topic']"),
        (("--epochs", "0"), "`epochs` must be a positive int"),
        (("--temperature", "0"), "`temperature` must be a positive number"),
        (("--log", "nowhere.csv"), "input 'nowhere.csv' must match at least one"),
    ],
)
def test_errors_of_retrieve(
    two_stages: tuple[Path, str], tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = tfmtl("retrieve", two_stages[0] / "data", "-o", tmp_path / "out", *arguments)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert message in result.err
    assert list(tmp_path.iterdir()) == []
