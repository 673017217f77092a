"""Checks of constructor arguments and input shapes, with one wording for every error.

Every function called `check_*` returns nothing and raises: `TypeError` for a value of the wrong type, `ValueError`
for a wrong value of the right type, `ProblemError` for what stands in a problem file. The text is always

    {owner}: `{argument}` must {rule}. Received: {argument}={value!r}. {what to do}.
"""

import difflib
import keyword
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.reserved import JOINT
from tfmtl.schema.shown import shown

Shape: TypeAlias = tuple[Any, ...]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_CHARACTERS = 200  # a file's name has 255 at most, its ending included
_OTHER_NAME = "Use another one; a feature's `column` and a task's `label` say what the log calls it."


def error_text(owner: str, argument: str, rule: str, value: object, advice: str) -> str:
    """Returns the text of an error about one argument."""
    return f"{owner}: `{argument}` must {rule}. Received: {argument}={shown(value)}. {advice}"


def _type_error(owner: str, argument: str, rule: str, value: object, advice: str) -> TypeError:
    text = f"{owner}: `{argument}` must {rule}. Received: {argument}={shown(value)} ({type(value).__name__}). {advice}"
    return TypeError(text)


def check_positive_int(owner: str, argument: str, value: object, advice: str = "Use 1 or more.") -> None:
    """Raises unless `value` is an int of at least 1; a bool is not an int here."""
    rule = "be a positive int"
    if isinstance(value, bool) or not isinstance(value, int):
        raise _type_error(owner, argument, rule, value, advice)
    if value < 1:
        raise ValueError(error_text(owner, argument, rule, value, advice))


def check_count(owner: str, argument: str, value: object, advice: str = "Use 0 for none, or more.") -> None:
    """Raises unless `value` is an int of at least 0; a bool is not an int here."""
    rule = "be an int of at least 0"
    if isinstance(value, bool) or not isinstance(value, int):
        raise _type_error(owner, argument, rule, value, advice)
    if value < 0:
        raise ValueError(error_text(owner, argument, rule, value, advice))


def check_positive_ints(
    owner: str, argument: str, values: object, advice: str = "Use at least one width, as in (128, 64)."
) -> None:
    """Raises unless `values` is a non-empty sequence of positive ints."""
    rule = "be a non-empty sequence of positive ints"
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise _type_error(owner, argument, rule, values, advice)
    if any(isinstance(value, bool) or not isinstance(value, int) for value in values):
        raise _type_error(owner, argument, rule, values, advice)
    if not values or min(values) < 1:
        raise ValueError(error_text(owner, argument, rule, values, advice))


def check_bool(owner: str, argument: str, value: object, advice: str = "Use True or False.") -> None:
    """Raises unless `value` is a bool, so that the string "false" is never taken for true."""
    if not isinstance(value, bool):
        raise _type_error(owner, argument, "be a bool", value, advice)


def check_number(owner: str, argument: str, value: object, advice: str = "Use a finite number.") -> None:
    """Raises unless `value` is a finite int or float."""
    rule = "be a finite number"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _type_error(owner, argument, rule, value, advice)
    if not math.isfinite(value):
        raise ValueError(error_text(owner, argument, rule, value, advice))


def check_positive_number(owner: str, argument: str, value: float, advice: str = "Use a number above 0.") -> None:
    """Raises unless `value` is a finite number above 0."""
    check_number(owner, argument, value, advice)
    if value <= 0:
        raise ValueError(error_text(owner, argument, "be a positive number", value, advice))


def check_nonnegative_number(owner: str, argument: str, value: float, advice: str = "Use 0 for none, or more.") -> None:
    """Raises unless `value` is a finite number of at least 0."""
    check_number(owner, argument, value, advice)
    if value < 0:
        raise ValueError(error_text(owner, argument, "be at least 0", value, advice))


def check_dropout(owner: str, value: float) -> None:
    """Raises unless the `dropout` of a feature is a share of rows, in [0, 1)."""
    if not 0 <= value < 1:
        advice = "Use a share such as 0.1, or 0 for none."
        raise ProblemError(error_text(owner, "dropout", "lie in [0, 1)", value, advice))


def check_rate(
    owner: str, argument: str, value: float, advice: str = "Use a share such as 0.2, or 0 for none."
) -> None:
    """Raises unless `value` is a number in [0, 1)."""
    check_number(owner, argument, value, advice)
    if not 0 <= value < 1:
        raise ValueError(error_text(owner, argument, "lie in [0, 1)", value, advice))


def check_probability(
    owner: str, argument: str, value: float, advice: str = "Use the share of positive labels."
) -> None:
    """Raises unless `value` is a number strictly between 0 and 1."""
    check_number(owner, argument, value, advice)
    if not 0 < value < 1:
        raise ValueError(error_text(owner, argument, "lie strictly between 0 and 1", value, advice))


def did_you_mean(value: object, choices: Iterable[str]) -> str:
    """Returns " Did you mean 'x'?" for the nearest choice, or nothing when none is near."""
    known, text = list(choices), str(value)[:_MOST_CHARACTERS]  # of a name of megabytes it would look for hours
    nearest = difflib.get_close_matches(text, known, n=1) or difflib.get_close_matches(text.lower(), known, n=1)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def check_one_of(owner: str, argument: str, value: object, choices: Sequence[str]) -> None:
    """Raises unless `value` is one of `choices`; the error lists them and names the nearest."""
    if value not in choices:
        advice = f"Use one of these.{did_you_mean(value, choices)}"
        raise ValueError(error_text(owner, argument, f"be one of {list(choices)}", value, advice))


def check_heads(owner: str, num_heads: int, width: int) -> None:
    """Raises unless the number of attention heads divides the width they share."""
    if width % num_heads:
        advice = "Change the number of heads or the embedding width."
        raise ValueError(error_text(owner, "num_heads", f"divide the embedding width {width}", num_heads, advice))


def check_shape(owner: str, argument: str, shape: Shape, letters: str) -> None:
    """Raises unless `shape` has one axis for each letter and all but the first, the batch, are known.

    Args:
        owner: str. The class that asks, named first in the error.
        argument: str. The input the shape belongs to.
        shape: The static shape.
        letters: str. The axes as the documentation writes them, as in `"B, F, D"`.
    """
    received = tuple(shape)
    if len(received) != len(letters.split(",")) or None in received[1:]:
        rule = f"be ({letters}) with all but the first known"
        advice = f"Give `{argument}` this static shape before the call."
        raise ValueError(error_text(owner, f"{argument}.shape", rule, received, advice))


def check_axis(
    owner: str,
    argument: str,
    shape: Shape,
    axis: int,
    allowed: Sequence[int],
    advice: str,
) -> None:
    """Raises unless the size of one axis of `shape` is one of `allowed`."""
    received = tuple(shape)
    if received[axis] not in allowed:
        sizes = " or ".join(str(size) for size in dict.fromkeys(allowed))
        raise ValueError(error_text(owner, f"{argument}.shape", f"have size {sizes} on axis {axis}", received, advice))


def check_keys(owner: str, argument: str, shapes: object, required: Sequence[str]) -> None:
    """Raises unless `shapes` is a mapping that holds every key of `required`."""
    rule = f"be a dict with the keys {list(required)}"
    if not isinstance(shapes, Mapping):
        raise _type_error(owner, argument, rule, shapes, "Pass named tensors.")
    missing = [key for key in required if key not in shapes]
    if missing:
        raise ValueError(error_text(owner, argument, rule, sorted(shapes), f"Add {missing}."))


# === What problem files say: a wrong type is a ProblemError, too ===


def is_name(text: str) -> bool:
    """Whether a text is a plain identifier, which can be a file's, a tensor's and a metric's name."""
    # A name that ends with an underscore could be cut from its joint in two ways.
    return _NAME.fullmatch(text) is not None and JOINT not in f"{text}_" and len(text) <= _MOST_CHARACTERS


def is_argument(text: str) -> bool:
    """Whether a plain name can be an argument of the exported signature: a word of Python's own cannot."""
    return not keyword.iskeyword(text) and text != "self"


def check_argument(owner: str, argument: str, name: str, advice: str = "") -> None:
    """Raises unless `name`, a plain one, can be an argument of the exported signature; else only the export would."""
    if not is_argument(name):
        raise ProblemError(
            f"{owner}: `{argument}` must not be a word of Python's own: it is an argument of the exported model. "
            f"Received: {argument}={name!r}. {advice or _OTHER_NAME}"
        )


def check_name(owner: str, argument: str, name: object) -> None:
    """Raises unless `name` is a plain identifier: it becomes a file, tensor and metric name."""
    if isinstance(name, str) and len(name) > _MOST_CHARACTERS:
        raise ProblemError(
            f"{owner}: `{argument}` must have at most {_MOST_CHARACTERS} characters, since it becomes a file's name. "
            f"Received: {argument}={shown(name)}. {_OTHER_NAME}"
        )
    if not isinstance(name, str) or not is_name(name):
        raise ProblemError(
            f"{owner}: `{argument}` must be letters, digits and single underscores, not starting with a digit nor "
            f"ending with an underscore. Received: {argument}={shown(name)}. {_OTHER_NAME}"
        )


def check_column(owner: str, argument: str, column: str | None) -> None:
    """Raises where a column, if one is given, has no name."""
    if column == "":
        raise ProblemError(f"{owner}: `{argument}` must not be empty. Received: {argument}=''. Leave it out.")


def check_separator(owner: str, separator: str) -> None:
    """Raises where nothing joins the values of a text."""
    if not separator:
        raise ProblemError(f"{owner}: `separator` must not be empty. Received: separator=''.")


def check_missing(owner: str, texts: tuple[str, ...]) -> None:
    """Raises unless the texts that mean missing are distinct, and none is the empty one, which always does."""
    if "" in texts or len(set(texts)) != len(texts):
        raise ProblemError(
            f"{owner}: `missing` must be distinct texts that are not empty. Received: missing={list(texts)!r}. "
            "An empty value is missing anyway."
        )


def check_choice(owner: str, argument: str, value: object, choices: Iterable[str]) -> None:
    """Raises unless `value` is one of `choices`."""
    known = list(choices)
    if value not in known:
        raise ProblemError(
            f"{owner}: `{argument}` must be one of {known}. Received: {argument}={shown(value)}."
            f"{did_you_mean(str(value), known)}"
        )


def check_minimum(owner: str, argument: str, value: int, minimum: int) -> None:
    """Raises unless `value` is at least `minimum`."""
    if value < minimum:
        raise ProblemError(
            f"{owner}: `{argument}` must be an int of at least {minimum}. Received: {argument}={value!r}."
        )
