"""Pictures: how columns are read, what the model reads and makes of it."""

import base64
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.support.pictures import BROKEN, jpeg, pixels, png, png_bomb
from tests.support.tiny_problem import tiny_inputs, tiny_problem
from tfmtl.features import behavior_of
from tfmtl.features.image_fields import ImageFields
from tfmtl.layers import FeatureEmbedding
from tfmtl.preprocessing.reading.raw_columns import RawColumns
from tfmtl.preprocessing.reading.rejections import Rejections
from tfmtl.proposal.column_profile import ColumnProfile
from tfmtl.proposal.feature_guess import guess_feature
from tfmtl.schema import ImageFeature, ProblemError, SequenceFeature

FEATURE = ImageFeature("p", 8, 6)


def behavior(feature: ImageFeature = FEATURE) -> Any:
    return behavior_of(feature, tiny_problem(features=(feature,), sequences=()))


def read(column: pa.Array, feature: ImageFeature = FEATURE) -> tuple[list[Any], list[tuple[int, str]]]:
    rejections = Rejections(len(column))
    raw = RawColumns(pa.RecordBatch.from_arrays([column], names=["p"]), rejections)
    found = behavior(feature).read(raw)["p"]
    assert found.type == pa.binary()
    return found.to_pylist(), rejections.reasons


def encode(files: Any, feature: ImageFeature = FEATURE) -> np.ndarray:
    return behavior(feature).encode({"p": tf.constant(files, tf.string)})["p"].numpy()


# === Decoding ===


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_of_the_size_is_read_pixel_by_pixel(channels: int) -> None:
    feature = ImageFeature("p", 8, 6, channels)
    found = encode([png(8, 6, channels), png(8, 6, channels, seed=1)], feature)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, [pixels(8, 6, channels), pixels(8, 6, channels, seed=1)])


def test_a_larger_picture_is_made_smaller_without_losing_what_lies_between_pixels() -> None:
    """A checkerboard of single pixels is gray from afar; taking every fourth pixel would make it black or white."""
    board = ((np.indices((64, 48)).sum(axis=0) % 2) * 255).astype(np.uint8)[..., np.newaxis]
    found = encode([tf.io.encode_png(board).numpy()], ImageFeature("p", 8, 6, 1))
    assert np.abs(found.astype(int) - 127).max() <= 3


def test_gray_and_transparent_pictures_are_given_three_channels() -> None:
    gray = encode([png(8, 6, 1)])[0]
    np.testing.assert_array_equal(gray, np.repeat(pixels(8, 6, 1), 3, axis=2))
    np.testing.assert_array_equal(encode([png(8, 6, 4)])[0], pixels(8, 6, 4)[..., :3])


def test_a_jpeg_is_near_what_it_shows() -> None:
    assert np.abs(encode([jpeg(8, 6)])[0].astype(int) - pixels(8, 6)).mean() < 12


def test_a_missing_picture_is_black_and_said_to_be_missing() -> None:
    found = behavior().encode({"p": tf.constant([[b"", png(9, 9)], [b"", jpeg(3, 3)]])})
    np.testing.assert_array_equal(found["p__missing"], [[1.0, 0.0], [1.0, 0.0]])
    assert found["p"].shape == (2, 2, 8, 6, 3)
    assert not found["p"].numpy()[:, 0].any()
    assert encode([]).shape == (0, 8, 6, 3)


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_picture_is_refused_with_the_feature(what: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Feature 'p'|image_p"):
        encode([png(8, 6), BROKEN[what]])


def test_a_limit_is_one_of_height_times_width() -> None:
    feature = ImageFeature("p", 4, 4, max_pixels=12)
    assert encode([png(3, 4), png(4, 3), jpeg(12, 1)], feature).shape == (3, 4, 4, 3)
    for large in (png(13, 1), jpeg(1, 13), png(4, 4), jpeg(4, 4)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="12 pixels at most"):
            encode([large], feature)


def test_a_bomb_is_refused_by_its_header() -> None:
    bomb = png_bomb(9_000, 9_000)
    assert len(bomb) < 100_000
    with pytest.raises(tf.errors.InvalidArgumentError, match="pixels at most"):
        encode([bomb], ImageFeature("p", 2, 2))
    reason = "column 'p' holds a picture of more than 16,777,216 pixels, or of none"
    assert read(pa.array([bomb, png(2, 2)]))[1] == [(0, reason)]


# === Columns ===


def test_reading_keeps_the_pixels_that_a_request_with_the_file_has() -> None:
    files = [png(8, 6), jpeg(50, 41), png(3, 90, 1), jpeg(7, 7, 1), png(20, 20, 4)]
    found, reasons = read(pa.array(files, pa.binary()))
    assert reasons == []
    np.testing.assert_array_equal(encode(found), encode(files))


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()])
def test_every_type_of_bytes_is_read(kind: pa.DataType) -> None:
    found, reasons = read(pa.array([png(8, 6), None, b""], pa.binary()).cast(kind))
    assert (found[1:], reasons) == ([None, None], [])
    np.testing.assert_array_equal(encode(found[:1]), [pixels(8, 6)])


def test_only_the_rows_of_broken_pictures_are_rejected() -> None:
    files = [png(8, 6), *BROKEN.values(), jpeg(8, 6)]
    found, reasons = read(pa.array(files, pa.binary()))
    assert [row for row, _ in reasons] == list(range(1, len(files) - 1))
    named = dict(zip(BROKEN, (reason for _, reason in reasons), strict=True))
    assert named["no picture"] == named["an animation"] == "column 'p' is not a PNG or JPEG picture"
    assert named["a cut PNG"] == named["a JPEG's first bytes"] == "column 'p' holds a picture that cannot be decoded"
    assert found[0] is not None and found[-1] is not None


def test_numbers_are_no_pictures() -> None:
    assert read(pa.array([1.5, None]))[1] == [(0, "column 'p' holds neither bytes nor text")]


def test_base64_is_read_as_in_csv_files() -> None:
    feature = ImageFeature("p", 8, 6, stored_as="base64")
    found, reasons = read(pa.array([base64.b64encode(png(8, 6)).decode(), "%%", None]), feature)
    assert reasons == [(1, "column 'p' is not base64")]
    np.testing.assert_array_equal(encode(found[:1]), [pixels(8, 6)])


def test_paths_are_read_below_the_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(png(8, 6))
    (tmp_path / "b.png").write_bytes(png(8, 6))
    feature = ImageFeature("p", 8, 6, stored_as="path", folder=str(tmp_path / "in"))
    found, reasons = read(pa.array(["a.png", "../b.png", str(tmp_path / "b.png"), "c.png", None]), feature)
    assert dict(reasons) == {
        1: "column 'p' holds a path that leads out of the folder",
        2: "column 'p' holds a path that leads out of the folder",
        3: "column 'p' holds the path of a file that cannot be read",
    }
    np.testing.assert_array_equal(encode(found[:1]), [pixels(8, 6)])


# === Proposed ===


def test_infer_proposes_pictures_for_their_bytes() -> None:
    def guessed(values: list[Any], kind: pa.DataType) -> str:
        column = pa.chunked_array([pa.array(values, kind)])
        return str(guess_feature(ColumnProfile("p", column, len(values)), "p", "context").values["kind"])

    assert guessed([png(3, 3), None, jpeg(3, 3)], pa.binary()) == "image"
    assert guessed([png(3, 3), b"text"], pa.binary()) != "image"
    assert guessed(["a", "b"], pa.string()) != "image"


# === In the model ===


def arrays(files: list[bytes]) -> dict[str, tf.Tensor]:
    return behavior().encode({"p": tf.constant(files, tf.string)})


def test_a_field_is_of_the_picture_alone_or_the_missing_one() -> None:
    layer = ImageFields((FEATURE,), 4)
    layer.build()
    files = [png(8, 6), b"", png(8, 6, seed=1), b""]
    found = layer({}, {}, arrays(files))["p"].numpy()
    np.testing.assert_array_equal(found[1], layer.missing["p"].numpy())
    np.testing.assert_array_equal(found[1], found[3])
    alone = np.concatenate([layer({}, {}, arrays([each]), training=True)["p"].numpy() for each in files])
    np.testing.assert_allclose(found, alone, rtol=1e-5, atol=1e-7)
    assert np.abs(found[0] - found[2]).max() > 1e-4


def test_convolutions_see_where_pixels_lie() -> None:
    """The same pixels in another order, with the same mean, give another field."""
    board = np.zeros((8, 6, 3), np.uint8)
    board[::2] = 255
    stripes, shuffled = board, np.random.default_rng(0).permutation(board.reshape(-1, 3)).reshape(board.shape)
    layer = ImageFields((FEATURE,), 4)
    layer.build()
    files = [tf.io.encode_png(each).numpy() for each in (stripes, shuffled)]
    one, other = layer({}, {}, arrays(files))["p"].numpy()
    assert np.abs(one - other).max() > 1e-3


def test_a_network_of_keras_starts_from_the_users_file(tmp_path: Path) -> None:
    file = str(tmp_path / "mobile.weights.h5")
    theirs = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg")
    theirs.save_weights(file)
    feature = ImageFeature("p", 32, 32, encoder="MobileNet", weights=file)
    layer = ImageFields((feature,), 4)
    layer.build()
    assert len(layer.trainable_weights) == 3  # projection and the missing one: the network is not trained
    layer.load_given_weights()
    picture = pixels(32, 32)[np.newaxis]
    expected = theirs(keras.applications.mobilenet.preprocess_input(picture.astype(np.float32)))
    dense = layer.projections["p"]
    found = layer({}, {}, {"p": tf.constant(picture), "p__missing": tf.zeros(1)}, training=True)["p"]
    np.testing.assert_allclose(found, expected @ dense.kernel + dense.bias, rtol=1e-4, atol=1e-6)
    layer.records = (ImageFeature("p", 32, 32, encoder="MobileNet", weights="none.weights.h5"),)
    with pytest.raises(ValueError, match="`weights` must be a file with weights of keras"):
        layer.load_given_weights()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"encoder": "MobileNetV9"}, "`encoder` must be 'conv' or the name of a network in keras.applications"),
        ({"encoder": "InceptionV3"}, "`height, width` must be sizes that keras.applications.InceptionV3 takes"),
    ],
)
def test_an_encoder_that_cannot_be_is_named(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ImageFields((ImageFeature(**{"name": "p", "height": 8, "width": 8, **changes}),), 4).build()


def test_the_embedding_has_the_field_in_half_precision_too() -> None:
    problem = tiny_problem(features=(tiny_problem().features[1], ImageFeature("p", 8, 6, filters=(8,))), sequences=())
    layer = FeatureEmbedding(tiny_inputs(problem), dtype="mixed_float16")
    features = {"item": tf.constant([1, 2]), **arrays([png(8, 6), b""])}
    fields = layer(features, training=True)["fields"]
    assert fields.dtype == tf.float16
    assert np.isfinite(fields.numpy()).all()


# === The problem ===


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"height": 0}, "`height` must be an int of at least 1. Received: height=0."),
        ({"channels": 4}, "`channels` must be 1 or 3. Received: channels=4."),
        ({"stored_as": "path"}, "`folder` must be given where `stored_as` is 'path', and only there."),
        ({"folder": "here"}, "`folder` must be given where `stored_as` is 'path', and only there."),
        ({"filters": ()}, "`filters` must hold one number at least."),
        ({"weights": "a.h5"}, "`weights` and `trainable` must be left out for the encoder 'conv'"),
        ({"encoder": "ResNet50", "channels": 1}, "`channels` must be 3 for a network of keras.applications."),
        ({"dropout": 1.0}, "`dropout` must"),
    ],
)
def test_keys_are_checked(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        ImageFeature(**{"name": "p", "height": 4, "width": 4, **changes})
    assert text in str(caught.value)


def test_a_picture_is_no_event() -> None:
    with pytest.raises(ProblemError, match="kind 'image' cannot stand inside events"):
        tiny_problem(features=(FEATURE,), sequences=(SequenceFeature("seen", ("p",)),))
