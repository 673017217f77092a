"""Read word vectors from a file: the text format of word2vec, GloVe and fastText, or a NumPy archive."""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tfmtl.schema.checks import error_text

_OWNER = "TextFeature"
_MOST_BYTES = 16 << 30  # of an archive's arrays
_NUMBER_BYTES, _WORD_BYTES = 32, 4096  # of a line of text


def read_word_vectors(path: str, dim: int, words: Sequence[str]) -> np.ndarray:
    """float32 `(len(words), dim)`, NaN where the file does not have the word; of a word that it has twice the first.

    Only rows of `words` are kept, whatever the size of the file.

    Args:
        path: str. `.npz` with the arrays `words` and `vectors`, or text: a word and its numbers in a line, separated by
            spaces, after an optional first line with the numbers of words and of components.
        dim: int. Numbers of a vector.
        words: those that are wanted, in lower case as texts are.

    Raises:
        ValueError: there is no such file, it holds vectors of another size or none of the words, or cannot be read.
    """
    if not Path(path).is_file():
        raise _error(path, "name a file of word vectors", "There is none: give a path that the training can read.")
    places = {word: place for place, word in enumerate(words)}
    found = np.full((len(words), dim), np.nan, np.float32)
    for word, vector in _archive(path, dim) if Path(path).suffix == ".npz" else _lines(path, dim, places):
        place = places.get(word)
        if place is not None and np.isnan(found[place, 0]):
            if not np.isfinite(vector).all():
                raise _error(path, f"hold finite numbers; those of {word!r} are not", "Mend or remove it.")
            found[place] = vector
    if len(words) and np.isnan(found[:, 0]).all():
        advice = "Words of texts are in lower case: so must be those of the file."
        raise _error(path, f"hold vectors for some of the vocabulary's {len(words):,} words", advice)
    return found


def _lines(path: str, dim: int, places: dict[str, int]) -> Iterator[tuple[str, np.ndarray]]:
    """The wanted words of a text file and their vectors."""
    longest = dim * _NUMBER_BYTES + _WORD_BYTES
    with open(path, "rb") as stream:
        for number, line in enumerate(iter(lambda: stream.readline(longest), b""), 1):
            parts = line.split()
            if not parts or (number == 1 and len(parts) == 2 and dim != 1 and _is_header(path, dim, parts)):
                continue
            if len(parts) <= dim or (len(line) == longest and not line.endswith(b"\n")):
                raise _error(path, f"have {dim} numbers (`dim`) behind the word of line {number}", _received(parts))
            word = b" ".join(parts[:-dim]).decode("utf-8", "replace")
            if word in places or number <= 2:  # all of the first ones are tried, so that another `dim` is found
                try:
                    yield word, np.array([float(part) for part in parts[-dim:]], np.float32)
                except ValueError as error:
                    rule = f"have numbers behind the word of line {number}"
                    raise _error(path, rule, _received(parts)) from error


def _is_header(path: str, dim: int, parts: Sequence[bytes]) -> bool:
    if not all(part.isdigit() for part in parts):
        return False
    if int(parts[1]) != dim:
        raise _error(path, f"hold vectors of {dim} numbers (`dim`), not {int(parts[1])}", "Make `dim` equal.")
    return True


def _received(parts: Sequence[bytes]) -> str:
    return f"It has {len(parts) - 1}: make `dim` equal, or mend the file."


def _archive(path: str, dim: int) -> Iterator[tuple[str, np.ndarray]]:
    """The words of a NumPy archive and their vectors; its sizes are looked at before anything is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(each.file_size for each in archive.infolist())
            names = {each.filename for each in archive.infolist()}
        if unpacked > _MOST_BYTES:
            raise _error(path, f"unpack to {_MOST_BYTES:,} bytes at most, not {unpacked:,}", "Keep fewer words.")
        if not {"words.npy", "vectors.npy"} <= names:
            raise _error(path, "hold the arrays `words` and `vectors`", f"It has {sorted(names)}.")
        with np.load(path, allow_pickle=False) as arrays:
            words, vectors = arrays["words"], arrays["vectors"]
    except (OSError, zipfile.BadZipFile) as error:
        raise _error(path, "be a NumPy archive", str(error)) from error
    if words.ndim != 1 or words.dtype.kind != "U" or vectors.shape != (len(words), dim):
        advice = f"They have {words.shape} of {words.dtype} and {vectors.shape}."
        raise _error(path, f"hold `words`, texts (n,), and `vectors` (n, {dim}) (`dim`)", advice)
    return zip(words.tolist(), vectors.astype(np.float32), strict=True)


def _error(path: str, rule: str, advice: str) -> ValueError:
    return ValueError(error_text(_OWNER, "vectors", rule, path, advice))
