"""A signature called past TensorFlow's own way answers as TensorFlow's own way does."""

import numpy as np
import pytest
import tensorflow as tf

from tests.serving.toy_models import FEATURES, SIGNATURES, example
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.server.signature_call import SignatureCall
from tfmtl.serving.serving_error import ServingError

INPUTS = {
    "serving_default": FEATURES,
    "lone": {"x": np.float32([1, 2])},
    "echo": {"payload": np.array([b"\x00\xff", b""], object)},
    "rank": {"user": np.float32([2.0]), "item": np.float32([1.0, 2.0, 4.0])},
    "pick": {"index": np.int32([1, 0])},
    "half": {"x": np.float32([1.5])},
    "pair": {"x": np.float32([])},
    **{name: {"inputs": np.array([example(1.0), example(-2.0)], object)} for name in ("classify", "regress", "flat")},
}


@pytest.mark.parametrize("name", SIGNATURES)
@pytest.mark.parametrize("is_direct", [True, False], ids=["direct", "as TensorFlow offers it"])
def test_it_answers_as_the_signature(exported, name, is_direct):
    saved_model = tf.saved_model.load(str(exported))
    function = saved_model.signatures[name]
    call = SignatureCall(function)
    assert sorted(call._input_names) == sorted(INPUTS[name])  # the direct way is the one that is taken
    if not is_direct:
        call._input_names = None
    # Reversed: the order in which a client names inputs must not matter.
    answered = call(dict(reversed(INPUTS[name].items())))
    expected = function(**{key: tf.constant(value) for key, value in INPUTS[name].items()})
    assert set(answered) == set(expected)
    for key, tensor in expected.items():
        assert answered[key].dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(answered[key], tensor.numpy())
    last = sorted(expected)[-1:]
    assert list(call(INPUTS[name], last)) == last


def test_a_model_of_tensorflow_1_is_called_as_tensorflow_offers_it(tmp_path):
    graph = tf.Graph()
    with graph.as_default():
        left = tf.compat.v1.placeholder(tf.float32, (None,), "a")
        right = tf.compat.v1.placeholder(tf.float32, (None,), "b")
        signature = tf.compat.v1.saved_model.predict_signature_def({"z": left, "y": right}, {"out": left - right})
        with tf.compat.v1.Session(graph=graph) as session:
            builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "1"))
            builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
            builder.save()
    saved_model = tf.saved_model.load(str(tmp_path / "1"))
    call = SignatureCall(saved_model.signatures["serving_default"])
    assert call._input_names is None
    assert call({"z": np.float32([3.0]), "y": np.float32([1.0])})["out"].tolist() == [2.0]


def test_an_error_of_the_graph_is_raised(exported):
    saved_model = tf.saved_model.load(str(exported))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"= 5 is not in \[0, 2\)"):
        SignatureCall(saved_model.signatures["pick"])({"index": np.int32([5])})


@pytest.mark.parametrize("payload", [b"\xff\xfe", b"x", b"\xff" * 1000])
def test_what_is_no_serialized_example_is_the_clients_mistake(exported, payload):
    model = ServedModel(exported, 1)
    with pytest.raises(ServingError, match=r"Signature 'classify': .*[Cc]ould not parse") as caught:
        model.predict("classify", {"inputs": np.array([payload], object)})
    assert caught.value.code == "INVALID_ARGUMENT"
