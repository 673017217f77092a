"""A ranking that knows what nobody took, measured and joined with the retrieval that found it."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfmtl
from tests.support.tiny_problem import tiny_log, tiny_model, tiny_problem
from tests.support.untrained_retrieval import untrained_retrieval
from tfmtl.data import PreparedData
from tfmtl.data.example_spec import candidate_features, user_signature
from tfmtl.export import export
from tfmtl.export.raw_batch import to_tensors
from tfmtl.models import MultiTaskModel
from tfmtl.retrieval import (
    ComposeOptions,
    NegativeOptions,
    compose,
    ranking_negatives,
    training_items,
    two_stage_quality,
)
from tfmtl.retrieval.recall import positives
from tfmtl.schema.reserved import RESERVED_IDS

pytestmark = pytest.mark.long
CANDIDATES = 12
ORDER = "taken*click"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PreparedData, MultiTaskModel]:
    """A retrieval, data with negatives, and a ranking that nobody trained."""
    folder = tmp_path_factory.mktemp("joined")
    data = tfmtl.prepare(tiny_log(), tiny_problem(), num_shards=1)
    retrieval = untrained_retrieval(data, training_items(data, tiny_log()), folder / "retrieval")
    options = NegativeOptions(count=2, candidates=CANDIDATES)
    ranked = ranking_negatives(data, tiny_log(), retrieval, folder / "ranked", options)
    model = tiny_model(ranked.inputs, "shared_bottom")
    model.compile()
    features, _, _ = next(iter(ranked.split("train", 8)))
    model(features)
    return retrieval, ranked, model


def test_the_joined_model_hands_the_logit_on(parts: tuple[Path, PreparedData, MultiTaskModel], tmp_path: Path) -> None:
    retrieval, data, model = parts
    ranking = export(model, data, tmp_path / "ranking")
    options = ComposeOptions(ORDER, candidates=CANDIDATES)
    stages: list[Any] = [tf.saved_model.load(str(path)) for path in (retrieval, ranking)]
    joined = tf.saved_model.load(str(compose(retrieval, ranking, tmp_path / "joined", options=options)))
    requests = [request["features"] for request in data.requests()[:3]]
    users = [{name: one[name] for name in user_signature(data.problem)} for one in requests]
    assert "retrieval" not in users[0]
    tensors = to_tensors(users, user_signature(data.problem))
    answer = joined.signatures["recommend"](**tensors, k=tf.constant(4))
    for row, user in enumerate(users):
        one = to_tensors([user], user_signature(data.problem))
        found = stages[0].signatures["retrieve"](**one, k=tf.constant(CANDIDATES))
        items = {name: found[name][0] for name in candidate_features(data.problem)}
        assert np.ptp(items["retrieval"]) > 1.0
        scores = stages[1].signatures["rank"](**one, **items)
        order = (scores["taken"] * scores["click"]).numpy()
        np.testing.assert_allclose(answer["order"][row], np.sort(order)[::-1][:4], rtol=1e-5)
        best = np.argsort(-order, kind="stable")[:4]
        assert answer["item"][row].numpy().tolist() == items["item"].numpy()[best].tolist()


@pytest.mark.parametrize("exclude_seen", [False, True])
def test_retrievals_own_order_is_measured(parts: tuple[Path, PreparedData, MultiTaskModel], exclude_seen: bool) -> None:
    retrieval, data, model = parts
    options: dict[str, Any] = {"k": 5, "candidates": CANDIDATES, "exclude_seen": exclude_seen}
    found = two_stage_quality(model, data, retrieval, ["retrieval", ORDER], **options)
    index = tf.saved_model.load(str(retrieval))
    search = index.search_encoded_unseen if exclude_seen else index.search_encoded
    ids = index._encoded_ids.numpy()
    gains = []
    for rows in positives(data, "test", "click", "item"):
        nearest = search(rows.user, tf.constant(CANDIDATES))
        for offered, is_item, truth in zip(ids[nearest.rows], nearest.is_item.numpy(), rows.items, strict=True):
            hits = np.flatnonzero((offered[:5] == truth) & is_item[:5])
            gains.append(1 / np.log2(2 + hits[0]) if len(hits) and truth >= RESERVED_IDS else 0.0)
    own = found["orders"]["retrieval"]
    assert found["queries"] == len(gains)
    assert own["ndcg"] == pytest.approx(np.mean(gains))
    assert own["recall"] == pytest.approx(np.mean(np.array(gains) > 0))
    assert own["lead_low"] == own["lead_high"] == 0.0
    lead = found["orders"][ORDER]["ndcg"] - own["ndcg"]
    assert found["orders"][ORDER]["lead_low"] <= lead <= found["orders"][ORDER]["lead_high"]


def test_users_have_the_same_lists_alone_and_together(
    parts: tuple[Path, PreparedData, MultiTaskModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    retrieval, data, model = parts
    found = []
    for at_once in (8192, 1):
        monkeypatch.setattr(sys.modules[two_stage_quality.__module__], "_RANKED", at_once)
        found.append(two_stage_quality(model, data, retrieval, [ORDER], k=5, candidates=CANDIDATES, queries=20))
    assert found[0] == found[1]
