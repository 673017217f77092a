"""One Transformer for each pair: the reference pair by pair, and what it costs beside the hypernetwork."""

import numpy as np
import pytest

from tests.support import numpy_reference
from tests.support.layer_checks import randomize_weights
from tfmtl.layers.sequence.hyper_sequence_encoder import HyperSequenceEncoder
from tfmtl.layers.sequence.pair_sequence_encoder import PairSequenceEncoder

TASKS, BEHAVIORS, LENGTH, WIDTH, BATCH = 3, 2, 5, 4, 4
COUNTS = np.array([[5, 0], [2, 1], [0, 3], [4, 5]])
RANDOM = np.random.default_rng(0)
INPUTS = {
    "events": RANDOM.normal(size=(BATCH, BEHAVIORS, LENGTH, WIDTH)).astype("float32"),
    "event_mask": np.arange(LENGTH) < COUNTS[..., None],
    "queries": RANDOM.normal(size=(BATCH, BEHAVIORS, WIDTH)).astype("float32"),
}


def encoder(**arguments) -> PairSequenceEncoder:
    layer = PairSequenceEncoder(TASKS, **arguments)
    layer.build({key: (None, *value.shape[1:]) for key, value in INPUTS.items()})
    randomize_weights(layer)
    return layer


def pair_weights(layer: PairSequenceEncoder, pair: int) -> list[dict[str, np.ndarray]]:
    found = []
    for index in range(layer.num_layers):
        query, key, value = np.split(layer.projections[index].kernel.numpy()[pair], 3, axis=-1)
        found.append({"query": query, "key": key, "value": value})
        for name, stack in (
            ("output", layer.output_projections[index]),
            ("expansion", layer.expansions[index]),
            ("contraction", layer.contractions[index]),
        ):
            found[-1][name] = stack.kernel.numpy()[pair]
            found[-1][f"{name}_bias"] = stack.bias.numpy()[pair]
    return found


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("num_heads", [1, 2])
def test_every_pair_is_a_transformer_of_its_own(num_layers: int, num_heads: int) -> None:
    layer = encoder(num_layers=num_layers, num_heads=num_heads)
    result = layer(INPUTS).numpy()
    positions = layer.positions.position_embeddings.numpy()
    for task, behavior in np.ndindex(TASKS, BEHAVIORS):
        own = np.s_[task : task + 1, behavior : behavior + 1]
        expected = numpy_reference.interests(
            INPUTS["events"][:, behavior : behavior + 1],
            COUNTS[:, behavior : behavior + 1],
            positions,
            num_heads,
            pair_weights(layer, task * BEHAVIORS + behavior),
            layer.scale.numpy()[own],
            layer.shift.numpy()[own],
        )
        np.testing.assert_allclose(result[:, task, behavior], expected[:, 0, 0], 1e-3, 1e-3)


def test_padding_changes_nothing() -> None:
    layer = encoder(pooling="target")
    spoiled = np.where(INPUTS["event_mask"][..., None], INPUTS["events"], np.nan).astype("float32")
    np.testing.assert_array_equal(layer({**INPUTS, "events": spoiled}), layer(INPUTS))


def test_an_empty_sequence_gives_zeros() -> None:
    result = encoder()(INPUTS).numpy()
    np.testing.assert_array_equal(result[0, :, 1], 0.0)
    assert np.all(np.any(result[0, :, 0] != 0.0, axis=-1))


def test_it_costs_a_transformer_a_pair_where_the_hypernetwork_costs_an_embedding() -> None:
    def count(layer_class: type, num_tasks: int, behaviors: int) -> int:
        layer = layer_class(num_tasks, use_positions=False)
        layer.build({"events": (None, behaviors, 50, 64), "event_mask": (None, behaviors, 50)})
        return layer.count_params()

    attention = 4 * 64 * 64 + 64
    feed_forward = 2 * 64 * 256 + 256 + 64
    norms = 4 * 64
    assert count(PairSequenceEncoder, 4, 3) == 12 * (attention + feed_forward + norms)
    assert count(PairSequenceEncoder, 8, 6) == 48 * (attention + feed_forward + norms)
    assert count(HyperSequenceEncoder, 8, 6) - count(HyperSequenceEncoder, 4, 3) == (8 - 4) * 16 + (6 - 3) * 16


def test_a_width_the_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="PairSequenceEncoder: `num_heads` must divide the embedding width 4"):
        encoder(num_heads=3)
