"""Words and runs of characters of texts, in TensorFlow operations that every model server has."""

import tensorflow as tf

_SEPARATORS = r"[^\p{L}\p{M}\p{N}\p{So}]+"
_ALONE = r"([\p{So}\p{Han}\p{Hiragana}\p{Katakana}])"
_ENCODING = "UTF-8"


def is_utf8(texts: tf.Tensor) -> tf.Tensor:
    """Bool, of the shape of `texts`: whether the bytes are UTF-8."""
    return tf.strings.unicode_transcode(texts, _ENCODING, _ENCODING, errors="ignore") == texts


def words_of(texts: tf.Tensor, most: int) -> tf.RaggedTensor:
    """The first words `(n, None)` of texts `(n,)`, in lower case; see `TextFeature` for what a word is."""
    # What separates goes first: the lower-casing operation ends a text at its first zero byte.
    spaced = tf.strings.regex_replace(tf.strings.regex_replace(texts, _SEPARATORS, " "), _ALONE, r" \1 ")
    return tf.strings.split(tf.strings.lower(spaced, encoding="utf-8"))[:, :most]


def ngrams_of(words: tf.RaggedTensor, shortest: int, longest: int, most: int) -> tf.RaggedTensor:
    """The first runs of `shortest` to `longest` characters `(n, None)` of words `(n, None)`: word by word."""
    marked = tf.strings.join(["<", words.flat_values, ">"])
    characters = tf.strings.unicode_split(marked, _ENCODING)
    runs = tf.strings.ngrams(characters, list(range(shortest, longest + 1)), separator="")
    return words.with_flat_values(runs).merge_dims(1, 2)[:, :most]
