"""The checks that outsiders run on their own parts: ours pass, and each known fault is named."""

from collections.abc import Callable

import keras
import pytest
import tensorflow as tf

from tests.conformance.recipes.balancing import RECIPES
from tfmtl.balancing import Balancer
from tfmtl.layers import (
    CGC,
    PLE,
    STEM,
    APEMBottom,
    BottomLayer,
    ConcatenationBottom,
    DTRNBottom,
    HeterogeneousExperts,
    InteractionBottom,
    MMoE,
    SharedNetwork,
    SharingLayer,
    SingleTask,
    SoftSelectionBottom,
    STEMBottom,
)
from tfmtl.testing import check_balancer, check_bottom_layer, check_sharing_layer

TASKS = 3
SHARINGS: dict[str, tuple[Callable[[], SharingLayer], tuple[int, ...]]] = {
    "mmoe": (lambda: MMoE(TASKS, 2, (4,), "tanh"), (1, 3)),
    "shared bottom": (lambda: SharedNetwork(TASKS, (4,), "tanh"), (1, 3)),
    "single task": (lambda: SingleTask(TASKS, (4,), "tanh"), (1, 3)),
    "ple": (lambda: PLE(TASKS, 2, 1, 2, (4,), "tanh"), (1, 3, 4)),
    "cgc": (lambda: CGC(TASKS, 2, 1, (4,), "tanh"), (1, 3)),
    "stem": (lambda: STEM(TASKS, 2, 1, (4,), "tanh"), (1, 3, 4)),
    "heterogeneous": (lambda: HeterogeneousExperts(TASKS, 3, 2, 1, (4,), 1), (1, 3, 4)),
}
BOTTOMS: dict[str, Callable[[], BottomLayer]] = {
    "concatenation": ConcatenationBottom,
    "dtrn": lambda: DTRNBottom(TASKS),
    "dtrn, adapter": lambda: DTRNBottom(TASKS, conditioning="adapter", rank=2, pooling="target"),
    "dtrn, low rank": lambda: DTRNBottom(TASKS, conditioning="low_rank", rank=2, pooling="target_count"),
    "dtrn, independent": lambda: DTRNBottom(TASKS, encoder="independent", pooling="target"),
    "stem": lambda: STEMBottom(TASKS, "target"),
    "apem": lambda: APEMBottom(TASKS),
    "interaction": lambda: InteractionBottom("senet"),
    "soft selection": lambda: SoftSelectionBottom(TASKS, public_representation=True),
}


@pytest.mark.parametrize("name", SHARINGS)
def test_our_sharing_layers_pass(name: str) -> None:
    make, streams = SHARINGS[name]
    check_sharing_layer(make, TASKS, streams=streams)


@pytest.mark.parametrize("name", BOTTOMS)
def test_our_bottoms_pass(name: str) -> None:
    check_bottom_layer(BOTTOMS[name], TASKS)


@pytest.mark.parametrize("method", RECIPES, ids=lambda method: method.__name__)
def test_our_balancers_pass(method: type[Balancer]) -> None:
    check_balancer(lambda: method(**RECIPES[method]))


@keras.saving.register_keras_serializable(package="own_parts")
class Good(SharingLayer):
    """A shared layer, and one for each task on it; no `get_config`, for its arguments are plain values."""

    def __init__(self, num_tasks: int, units: int = 4, **kwargs) -> None:
        super().__init__(**kwargs)
        self.num_tasks = num_tasks
        self.units = units

    def build(self, input_shape) -> None:
        self.body = self.add_weight((input_shape[-1], self.units), name="body")
        self.own = self.add_weight((self.num_tasks, self.units, self.units), name="own")

    def call(self, inputs, offset=None):
        common = keras.ops.tanh(keras.ops.matmul(inputs, self.body))  # (B, S, units)
        common = common if offset is None else common + offset
        return keras.ops.matmul(common[:, :, None], self.own)[:, :, 0]

    def representation_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    @property
    def private_weights(self):
        return [self.own]

    @property
    def keeps_tasks_apart(self) -> bool:
        return True

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_tasks, self.units)


@keras.saving.register_keras_serializable(package="own_parts")
class SaysNothing(Good):
    representation_shape = SharingLayer.representation_shape


@keras.saving.register_keras_serializable(package="own_parts")
class Leaks(Good):
    @property
    def private_weights(self):
        return [self.own, self.body]


@keras.saving.register_keras_serializable(package="own_parts")
class KeepsQuiet(Good):
    @property
    def private_weights(self):
        return []


@keras.saving.register_keras_serializable(package="own_parts")
class ReadsOthers(Good):
    def call(self, inputs, offset=None):
        return super().call(inputs + keras.ops.mean(inputs, axis=1, keepdims=True), offset=offset)


@keras.saving.register_keras_serializable(package="own_parts")
class ReloadsDifferently(Good):
    def get_config(self):
        return {"num_tasks": self.num_tasks, "units": 4, "name": self.name}


@keras.saving.register_keras_serializable(package="own_parts")
class Forgets(Good):
    def get_config(self):
        return {"num_tasks": self.num_tasks, "name": self.name}


@keras.saving.register_keras_serializable(package="own_parts")
class StartsEqual(Good):
    def build(self, input_shape) -> None:
        super().build(input_shape)
        self.own.assign(keras.ops.repeat(self.own[:1], self.num_tasks, axis=0))


@keras.saving.register_keras_serializable(package="own_parts")
class BuildsLate(Good):
    def build(self, input_shape) -> None:
        super().build(input_shape)
        self.last = keras.layers.Dense(self.units)

    def call(self, inputs, offset=None):
        return self.last(super().call(inputs, offset=offset))


@keras.saving.register_keras_serializable(package="own_parts")
class TakesNoOffset(Good):
    def call(self, inputs):
        return super().call(inputs)


@keras.saving.register_keras_serializable(package="own_parts")
class ReadsTheBatch(Good):
    def call(self, inputs, offset=None):
        return super().call(inputs - keras.ops.mean(inputs, axis=0), offset=offset)


def test_a_good_layer_of_ones_own_passes() -> None:
    check_sharing_layer(lambda: Good(TASKS, units=5), TASKS)
    check_sharing_layer(lambda: Good(TASKS), TASKS, streams=(1,))  # Keras's own config holds no defaults


def test_a_layer_that_no_file_finds_again_is_named() -> None:
    class Unregistered(Good):
        pass

    with pytest.raises(AssertionError, match="Unregistered: it must be found again: register it"):
        check_sharing_layer(lambda: Unregistered(TASKS), TASKS)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (SaysNothing, "SaysNothing: `representation_shape` must say where tasks meet"),
        (Leaks, "of which several tasks read one part: it leaks between tasks"),
        (KeepsQuiet, "KeepsQuiet: `private_weights` must name '.*own': no part of it is read by two tasks"),
        (ReadsOthers, "`keeps_tasks_apart` must be False: a task reads what another"),
        (ReloadsDifferently, "a config must make the same layer|answer the same"),
        (Forgets, "`get_config` must hold every argument of the constructor. It lacks 'units'"),
        (StartsEqual, "tasks 0 and 1 must start different"),
        (BuildsLate, "`build` must create and build every sublayer"),
        (TakesNoOffset, "`call` must take `offset`"),
        (ReadsTheBatch, "a row must not depend on the rows beside it"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_fault_of_a_sharing_layer_is_named(layer: type[Good], text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        check_sharing_layer(lambda: layer(TASKS, units=5), TASKS)


@keras.saving.register_keras_serializable(package="own_parts")
class ReadsPadding(BottomLayer):
    def call(self, inputs):
        vectors = keras.ops.concatenate([inputs["fields"], keras.ops.mean(inputs["events"], axis=2)], axis=1)
        return keras.ops.reshape(vectors, (-1, 1, vectors.shape[1] * vectors.shape[2]))

    def compute_output_shape(self, input_shape):
        batch, fields, dim = input_shape["fields"]
        return (batch, 1, (fields + input_shape["events"][1]) * dim)


@keras.saving.register_keras_serializable(package="own_parts")
class SaysItStartsWithFields(ReadsPadding):
    @property
    def starts_with_fields(self) -> bool:
        return True

    def call(self, inputs):
        return super().call({**inputs, "events": 0 * inputs["events"]})[..., ::-1]


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (ReadsPadding, "events where `event_mask` is False must not matter"),
        (SaysItStartsWithFields, "`starts_with_fields` must be False"),
    ],
)
def test_a_fault_of_a_bottom_is_named(layer: type[BottomLayer], text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        check_bottom_layer(layer, TASKS)


class Counts(Balancer):
    """Its count is no variable, and an absent task counts."""

    uses_gramian = False

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.step = 0

    def _weights(self, losses, gramian, present):
        self.step += 1
        return tf.ones_like(losses) * float(self.step)


class ReadsAbsent(Balancer):
    uses_gramian = True

    def _weights(self, losses, gramian, present):
        return tf.cast(tf.linalg.diag_part(gramian) + tf.size(losses) / tf.size(present), tf.float32)

    def weights(self, losses, gramian=None, present=None):
        return tf.ones_like(losses) * tf.cast(tf.linalg.trace(gramian), tf.float32)


@pytest.mark.parametrize(
    ("balancer", "text"),
    [
        (Counts, "a graph must give what eager calls give"),
        (ReadsAbsent, "a task without labels in the batch must get the weight 0"),
    ],
)
def test_a_fault_of_a_balancer_is_named(balancer: type[Balancer], text: str) -> None:
    keras.saving.register_keras_serializable(package="own_parts")(balancer)
    with pytest.raises(AssertionError, match=text):
        check_balancer(balancer)
