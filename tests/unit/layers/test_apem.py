"""APEM: the group transformer, the pattern selector and the bottom they make."""

import itertools
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.support.field_reference import excitation, pattern_selection, set_attention
from tests.support.layer_checks import randomize_weights
from tfmtl.layers.bottom.apem_bottom import APEMBottom
from tfmtl.layers.bottom.concatenation_bottom import ConcatenationBottom
from tfmtl.layers.bottom.pattern_selector import PatternSelector
from tfmtl.layers.fields.group_transformer import GroupTransformer
from tfmtl.layers.fields.set_attention_block import SetAttentionBlock

TASKS, FIELDS, GROUPS, BEHAVIORS, LENGTH, WIDTH, BATCH = 3, 5, 3, 2, 4, 6, 4
RANDOM = np.random.default_rng(0)
E = RANDOM.normal(size=(BATCH, FIELDS, WIDTH)).astype("float32")
H = RANDOM.normal(size=(BATCH, GROUPS, WIDTH)).astype("float32")
COUNTS = np.array([[4, 0], [2, 1], [0, 3], [0, 0]])
INPUTS = {
    "fields": E,
    "events": RANDOM.normal(size=(BATCH, BEHAVIORS, LENGTH, WIDTH)).astype("float32"),
    "event_mask": np.arange(LENGTH) < COUNTS[..., None],
    "queries": RANDOM.normal(size=(BATCH, BEHAVIORS, WIDTH)).astype("float32"),
}
ORDER = [3, 0, 4, 2, 1]
ALL_BUT_FIELD = ["group", "channel", "off"]


def built(layer, inputs):
    layer.build({key: (None, *value.shape[1:]) for key, value in inputs.items()})
    randomize_weights(layer)
    return layer


def transformer(**arguments) -> GroupTransformer:
    return built(GroupTransformer(**{"num_groups": GROUPS, "reduction": 1, **arguments}), {"fields": E})


def selector(**arguments) -> PatternSelector:
    return built(PatternSelector(TASKS, **arguments), {"fields": E, "groups": H})


def bottom(inputs=INPUTS, **arguments) -> APEMBottom:
    return built(APEMBottom(**{"num_tasks": TASKS, "num_groups": GROUPS, "reduction": 1, **arguments}), inputs)


def attention_weights(layer: SetAttentionBlock) -> dict[str, np.ndarray]:
    names = ("query", "query_bias", "key", "value", "value_bias", "output", "output_bias")
    assert len(layer.weights) == len(names)
    return {name: weight.numpy() for name, weight in zip(names, layer.weights, strict=True)}


def reference_blocks(layer: GroupTransformer, fields: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E' and the weighed groups of one example after all blocks, by the equations."""
    groups = np.zeros(0)
    for n, tokens in enumerate(layer.group_tokens.numpy()):
        groups = set_attention(tokens, fields, layer.num_heads, attention_weights(layer.readers[n]))
        if layer.se_axis in ("group", "channel"):
            groups = reweighed(layer, n, groups, "field" if layer.se_axis == "group" else "channel")
        fields = set_attention(fields, groups, layer.num_heads, attention_weights(layer.writers[n]))
        if layer.se_axis == "field":
            fields = reweighed(layer, n, fields, "field")
    return fields, groups


def reweighed(layer: GroupTransformer, block: int, vectors: np.ndarray, axis: str) -> np.ndarray:
    names = ("reduce", "reduce_bias", "excite", "excite_bias")
    weights = {name: w.numpy() for name, w in zip(names, layer.excitations[block].weights, strict=True)}
    gate = excitation(vectors, weights, "sigmoid", axis)
    return vectors * (gate[:, None] if axis == "field" else gate[None])


@pytest.mark.parametrize("se_axis", ["group", "channel", "field", "off"])
@pytest.mark.parametrize("num_blocks", [1, 2])
def test_transformer_equals_the_reference(se_axis: str, num_blocks: int) -> None:
    layer = transformer(se_axis=se_axis, num_blocks=num_blocks)
    result = layer({"fields": E})
    for b in range(BATCH):
        fields, groups = reference_blocks(layer, E[b])
        np.testing.assert_allclose(result["fields"][b], fields, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(result["groups"][b], groups, rtol=1e-3, atol=1e-4)


def test_without_excitation_it_is_exactly_isab() -> None:
    layer = transformer(se_axis="off")
    assert layer.excitations == []
    tokens = np.repeat(layer.group_tokens.numpy(), BATCH, axis=0)
    groups = layer.readers[0]({"queries": tokens, "keys": E})
    expected = layer.writers[0]({"queries": E, "keys": groups})
    np.testing.assert_allclose(layer({"fields": E})["fields"], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("se_axis", ["group", "channel", "field"])
def test_with_gates_of_1_it_is_exactly_the_block_without_excitation(se_axis: str) -> None:
    layer, plain = transformer(se_axis=se_axis), transformer(se_axis="off")
    attention = [weight for weight in layer.weights if "squeeze_excitation" not in weight.path]
    for own, other in zip(attention, plain.weights, strict=True):
        own.assign(other)
    expected = plain({"fields": E})["fields"].numpy()
    assert np.max(np.abs(layer({"fields": E})["fields"] - expected)) > 0.1
    excite = layer.excitations[0].excite
    excite.kernel.assign(tf.zeros(excite.kernel.shape))
    excite.bias.assign(tf.fill(excite.bias.shape, 40.0))  # a sigmoid of 1 exactly, in float32
    np.testing.assert_array_equal(layer({"fields": E})["fields"], expected)


@pytest.mark.parametrize("se_axis", ALL_BUT_FIELD)
@pytest.mark.parametrize("num_blocks", [1, 2])
def test_permuted_fields_give_permuted_fields_and_the_same_groups(se_axis: str, num_blocks: int) -> None:
    layer = transformer(se_axis=se_axis, num_blocks=num_blocks)
    plain, permuted = layer({"fields": E}), layer({"fields": E[:, ORDER]})
    np.testing.assert_allclose(permuted["fields"], plain["fields"].numpy()[:, ORDER], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(permuted["groups"], plain["groups"], rtol=1e-4, atol=1e-5)
    assert np.max(np.abs(permuted["fields"] - plain["fields"])) > 0.1, "fields alike would show nothing"


def test_excitation_over_fields_breaks_the_equivariance() -> None:
    layer = transformer(se_axis="field")
    plain, permuted = layer({"fields": E}), layer({"fields": E[:, ORDER]})
    assert np.max(np.abs(permuted["fields"] - plain["fields"].numpy()[:, ORDER])) > 0.1
    np.testing.assert_allclose(permuted["groups"], plain["groups"], rtol=1e-4, atol=1e-5)


def test_groups_start_different_and_depend_on_the_example() -> None:
    layer = GroupTransformer(GROUPS)
    groups = layer({"fields": E})["groups"].numpy()
    for one, other in itertools.combinations(range(GROUPS), 2):
        assert np.all(np.any(groups[:, one] != groups[:, other], axis=-1))
    assert np.all(np.any(groups[0] != groups[1], axis=-1))


def test_without_set_attention_fields_stay_and_groups_are_maps_of_their_mean() -> None:
    layer = transformer(use_set_attention=False, se_axis="off", num_blocks=2)
    result = layer({"fields": E})
    np.testing.assert_array_equal(result["fields"], E)
    kernel, bias = (weight.numpy() for weight in layer.weights)
    expected = np.einsum("bd,mde->bme", E.mean(axis=1), kernel) + bias
    np.testing.assert_allclose(result["groups"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("arguments", [{"use_set_attention": False}, *({"se_axis": axis} for axis in ALL_BUT_FIELD)])
@pytest.mark.parametrize("poison", [7.0, np.nan])
def test_a_padded_field_changes_nothing_else(arguments: dict, poison: float) -> None:
    layer = transformer(num_blocks=2, **arguments)
    expected = layer({"fields": E})
    result = layer(padded_inputs(poison))
    np.testing.assert_allclose(result["fields"][:, :FIELDS], expected["fields"], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(result["fields"][:, FIELDS], np.zeros((BATCH, WIDTH)))
    np.testing.assert_allclose(result["groups"], expected["groups"], rtol=1e-5, atol=1e-6)
    unmasked = layer({"fields": padded_inputs(7.0)["fields"]})
    assert np.max(np.abs(unmasked["groups"] - expected["groups"])) > 0.01, "without the mask the field does count"


def padded_inputs(poison: float) -> dict[str, np.ndarray]:
    field = np.full((BATCH, 1, WIDTH), poison, "float32")
    return {
        "fields": np.concatenate([E, field], axis=1),
        "field_mask": np.tile(np.arange(FIELDS + 1) < FIELDS, (BATCH, 1)),
    }


def tensor_sizes(layer, num_fields: int) -> dict[str, int]:
    """The number of elements of every tensor that a call on one example makes, and `pairs`, those with (F, F)."""
    spec = {"fields": tf.TensorSpec((1, num_fields, WIDTH), tf.float32)}
    graph = tf.function(lambda inputs: layer(inputs)).get_concrete_function(spec).graph
    shapes = [output.shape for op in graph.get_operations() for output in op.outputs if output.shape.rank is not None]
    return {
        "elements": sum(shape.num_elements() for shape in shapes),
        "pairs": sum(list(shape).count(num_fields) > 1 for shape in shapes),
    }


class FieldsToFields(SetAttentionBlock):
    """The attention that the groups replace: every field attends to every field."""

    def call(self, inputs):
        return super().call({"queries": inputs["fields"], "keys": inputs["fields"]})

    def build(self, input_shape):
        super().build({"queries": input_shape["fields"], "keys": input_shape["fields"]})


@pytest.mark.parametrize(
    ("make", "is_linear"), [(transformer, True), (lambda: built(FieldsToFields(), {"fields": E}), False)]
)
def test_no_tensor_has_all_pairs_of_fields_and_memory_grows_linearly(make, is_linear: bool) -> None:
    layer = make()
    sizes = [tensor_sizes(layer, count) for count in (31, 62, 93)]
    first, second, third = (size["elements"] for size in sizes)
    assert ((third - second) == (second - first)) is is_linear
    assert all((size["pairs"] == 0) is is_linear for size in sizes)


@pytest.mark.parametrize("selection", ["sigmoid", "softmax"])
@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("use_groups", [True, False])
def test_selector_equals_the_reference(selection: str, adaptive: bool, use_groups: bool) -> None:
    layer = selector(selection=selection, adaptive=adaptive, use_groups=use_groups)
    inputs = {"fields": E, "groups": H}
    result, selected = layer(inputs).numpy(), layer.selection_weights(inputs).numpy()
    weights = {name: getattr(layer, name).kernel.numpy() for name in ("query", "key", "value")}
    weights["indicators"] = layer.indicators.numpy()
    if adaptive:
        weights["adaptation"] = layer.adaptation.kernel.numpy()
    for b in range(BATCH):
        expected, expected_selection = pattern_selection(E[b], H[b] if use_groups else H[b, :0], weights, selection)
        np.testing.assert_allclose(selected[b], expected_selection, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(result[b], expected, rtol=1e-3, atol=1e-4)


def test_sigmoid_selects_each_pattern_on_its_own_and_softmax_shares_out() -> None:
    inputs = {"fields": E, "groups": H}
    alone = {"fields": E[:, :1], "groups": H[:, :1]}
    for selection, is_independent in (("sigmoid", True), ("softmax", False)):
        layer = selector(selection=selection, adaptive=False)
        weights = layer.selection_weights(inputs).numpy()
        assert np.all((weights > 0.0) & (weights < 1.0))
        kept = weights[..., [0, GROUPS]]  # the first group and the first field
        assert np.allclose(layer.selection_weights(alone), kept, rtol=1e-5) is is_independent
        assert np.allclose(np.sum(weights, axis=-1), 1.0, rtol=1e-5) is not is_independent


@pytest.mark.parametrize("arguments", [{}, {"selection": "softmax"}, {"adaptive": False}, {"use_groups": False}])
@pytest.mark.parametrize("poison", [7.0, np.nan])
def test_selection_does_not_see_a_padded_field(arguments: dict, poison: float) -> None:
    layer = selector(**arguments)
    plain, padded = {"fields": E, "groups": H}, {**padded_inputs(poison), "groups": H}
    expected, result = layer(plain).numpy(), layer(padded).numpy()
    np.testing.assert_allclose(result[..., : FIELDS * WIDTH], expected[..., : FIELDS * WIDTH], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(result[..., FIELDS * WIDTH : -WIDTH], 0.0)
    np.testing.assert_allclose(result[..., -WIDTH:], expected[..., -WIDTH:], rtol=1e-5, atol=1e-6)
    selected = layer.selection_weights(padded).numpy()
    np.testing.assert_array_equal(selected[..., -1], 0.0)
    np.testing.assert_allclose(selected[..., :-1], layer.selection_weights(plain), rtol=1e-5, atol=1e-6)


def test_an_example_of_padding_alone_gives_zeros_and_finite_gradients() -> None:
    fields = tf.Variable(np.full((1, FIELDS, WIDTH), np.nan, "float32"))
    for selection in ("sigmoid", "softmax"):
        layer = selector(selection=selection, use_groups=False)
        with tf.GradientTape() as tape:
            result = layer({"fields": fields, "field_mask": tf.zeros((1, FIELDS), tf.bool)})
            loss = tf.reduce_sum((result + 1.0) ** 2)
        np.testing.assert_array_equal(result, 0.0)
        for gradient in tape.gradient(loss, [fields, *(weight.value for weight in layer.trainable_weights)]):
            np.testing.assert_array_equal(gradient, 0.0)


def test_tasks_with_equal_indicators_select_equally() -> None:
    layer = selector()
    inputs = {"fields": E, "groups": H}
    before = layer.selection_weights(inputs).numpy()
    assert np.max(np.abs(before[:, 0] - before[:, 2])) > 0.01
    indicators = layer.indicators.numpy()
    indicators[2] = indicators[0]
    layer.indicators.assign(indicators)
    after = layer.selection_weights(inputs).numpy()
    np.testing.assert_array_equal(after[:, 0], after[:, 2])
    np.testing.assert_array_equal(layer(inputs)[:, 0], layer(inputs)[:, 2])
    np.testing.assert_array_equal(after[:, :2], before[:, :2])


@pytest.mark.parametrize("arguments", [{}, {"selection": "softmax"}, {"adaptive": False}])
@pytest.mark.parametrize("task", range(TASKS))
def test_another_tasks_indicator_has_no_influence_on_a_tasks_selection(task: int, arguments: dict) -> None:
    layer = selector(**arguments)
    for compute in (layer.selection_weights, layer):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(compute({"fields": E, "groups": H})[:, task] ** 2)
        gradient = tf.convert_to_tensor(tape.gradient(loss, layer.indicators.value)).numpy()
        others = [other for other in range(TASKS) if other != task]
        np.testing.assert_array_equal(gradient[others], 0.0)
        assert np.any(gradient[task] != 0.0)


def test_only_adaptive_indicators_see_the_other_fields() -> None:
    changed = np.concatenate([E[:, :-1], E[:, -1:] + 1.0], axis=1)
    for adaptive in (True, False):
        layer = selector(adaptive=adaptive)
        weights, others = (layer.selection_weights({"fields": f, "groups": H}).numpy()[..., :-1] for f in (E, changed))
        assert np.allclose(weights, others, rtol=1e-5) is not adaptive


def test_tasks_start_with_different_selections() -> None:
    weights = PatternSelector(TASKS)
    selected = weights({"fields": E, "groups": H}).numpy()
    for one, other in itertools.combinations(range(TASKS), 2):
        assert np.any(selected[:, one] != selected[:, other])


@pytest.mark.parametrize("pooling", ["mean", "target"])
def test_bottom_is_transformer_and_selector_of_fields_and_pooled_sequences(pooling: str) -> None:
    layer = bottom(pooling=pooling, num_blocks=2)
    vectors = np.concatenate([E, layer.pool(INPUTS)], axis=1)
    mask = np.concatenate([np.ones((BATCH, FIELDS), bool), COUNTS > 0], axis=1)
    patterns = layer.transformer({"fields": vectors, "field_mask": mask})
    inputs = {**patterns, "field_mask": mask}
    np.testing.assert_array_equal(layer(INPUTS), layer.selector(inputs))
    np.testing.assert_array_equal(layer.selection_weights(INPUTS), layer.selector.selection_weights(inputs))
    if pooling == "mean":
        pooled = ConcatenationBottom()(INPUTS).numpy().reshape(vectors.shape)
        np.testing.assert_array_equal(vectors, pooled)


def test_bottom_without_sequences_is_transformer_and_selector_of_the_fields() -> None:
    layer = bottom({"fields": E})
    np.testing.assert_array_equal(layer({"fields": E}), layer.selector(layer.transformer({"fields": E})))
    assert layer.count_params() == layer.transformer.count_params() + layer.selector.count_params()


def test_an_empty_sequence_is_no_field() -> None:
    layer, alone = bottom(se_axis="group"), bottom({"fields": E})
    for own, other in zip(layer.weights, alone.weights, strict=True):
        own.assign(other)
    empty = {**INPUTS, "event_mask": np.zeros((BATCH, BEHAVIORS, LENGTH), bool)}
    result, expected = layer(empty).numpy(), alone({"fields": E}).numpy()
    fields = FIELDS * WIDTH
    np.testing.assert_allclose(result[..., :fields], expected[..., :fields], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(result[..., fields:-WIDTH], 0.0)
    np.testing.assert_allclose(result[..., -WIDTH:], expected[..., -WIDTH:], rtol=1e-5, atol=1e-6)


def test_a_task_more_costs_an_indicator() -> None:
    assert bottom(num_tasks=TASKS + 1).count_params() - bottom().count_params() == WIDTH


def test_bad_arguments_and_shapes_are_refused() -> None:
    for layer, required in ((GroupTransformer, {}), (APEMBottom, {"num_tasks": 2})):
        for argument in ("num_groups", "num_heads", "num_blocks", "reduction"):
            with pytest.raises(ValueError, match=f"{layer.__name__}: `{argument}` must be a positive int"):
                layer(**required, **{argument: 0})
        with pytest.raises(ValueError, match=rf"{layer.__name__}: `se_axis` must be one of .*Did you mean 'group'\?"):
            layer(**required, se_axis="groups")
        with pytest.raises(TypeError, match=f"{layer.__name__}: `use_set_attention` must be a bool"):
            layer(**required, use_set_attention="no")
    for layer in (PatternSelector, APEMBottom):
        with pytest.raises(ValueError, match=f"{layer.__name__}: `num_tasks` must be a positive int"):
            layer(0)
        with pytest.raises(TypeError, match=f"{layer.__name__}: `adaptive` must be a bool"):
            layer(2, adaptive=1)
        with pytest.raises(ValueError, match=rf"{layer.__name__}: `selection` must be one of \['sigmoid', 'softmax'\]"):
            layer(2, selection="hard")
    with pytest.raises(TypeError, match="PatternSelector: `use_groups` must be a bool"):
        PatternSelector(2, use_groups=None)
    with pytest.raises(ValueError, match="APEMBottom: `pooling` must be one of"):
        APEMBottom(2, pooling="max")
    fields, groups = (None, FIELDS, WIDTH), (None, GROUPS, WIDTH)
    for layer, shapes, text in (
        (GroupTransformer(), {"groups": groups}, "`inputs` must be a dict with the keys ['fields']"),
        (GroupTransformer(), {"fields": (None, WIDTH)}, "`fields.shape` must be (B, F, D)"),
        (GroupTransformer(), {"fields": fields, "field_mask": (None, 2)}, "`field_mask.shape` must have shape (B, 5)"),
        (PatternSelector(2), {"fields": fields}, "`inputs` must be a dict with the keys ['groups']"),
        (PatternSelector(2), {"fields": fields, "groups": (None, WIDTH)}, "`groups.shape` must be (B, M, D)"),
        (
            PatternSelector(2),
            {"fields": fields, "groups": (None, 3, 8)},
            "`groups.shape` must have the fields' width 6",
        ),
        (APEMBottom(2), {"events": fields}, "`inputs` must be a dict with the keys ['fields']"),
    ):
        with pytest.raises(ValueError, match=re.escape(f"{type(layer).__name__}: {text}")):
            layer.build(shapes)
    with pytest.raises(ValueError, match=r"`num_heads` must divide the embedding width 6\. Received: num_heads=4"):
        APEMBottom(2, num_heads=4).build({"fields": fields})
