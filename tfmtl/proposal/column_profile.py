"""Statistics of one column of a sample."""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.preprocessing.reading.written_list import read_list
from tfmtl.values.arrow_text import to_text
from tfmtl.values.plain_arrow import is_list, plain, storage_type, why_unreadable

_SEPARATORS = ("|", ";", "^", ",")
_JOINED_SHARE = 0.05  # of the values hold the separator
_LONGEST_PIECE = 40
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d{1,3}(\.?\d{3})*(,(?P<places>\d+))?\s*")
_READABLE = 0.995  # of the values are numbers
_LIST_QUANTILE = 0.95
_VECTOR_ROWS, _LEAST_VECTORS = 2000, 20
_TEXT_LENGTH, _TEXT_DISTINCT, _MANY_TEXTS = 25, 0.5, 1000
_WRITTEN = 0.9  # of the texts are lists
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"


@dataclass(frozen=True)
class ColumnProfile:
    """One column of a sample.

    Attributes:
        name: str.
        column: the values, null where missing or empty.
        total_rows: int. Rows of the whole log.
        missing_texts: tuple of str. Texts that mean missing.
        why_names: str or None. Why its numbers are names, where they are.
    """

    name: str
    column: pa.ChunkedArray
    total_rows: int
    missing_texts: tuple[str, ...] = ()
    why_names: str | None = None

    # === Types ===

    @property
    def is_list(self) -> bool:
        """Whether a row holds several values, as a list."""
        return is_list(self.column.type)

    @cached_property
    def vector_size(self) -> int | None:
        """How many numbers every row holds: of lists of one size, and of those with fractions that have one length."""
        kind = storage_type(self.column.type)
        if not is_list(kind):
            return None
        items = storage_type(kind.value_type)
        if pa.types.is_fixed_size_list(kind) and (pa.types.is_floating(items) or pa.types.is_integer(items)):
            return int(kind.list_size) or None
        lengths = np.unique(pc.list_value_length(self._plain.drop_null()).to_numpy(zero_copy_only=False))
        lengths = lengths[lengths > 0]
        return int(lengths[0]) if pa.types.is_floating(items) and len(lengths) == 1 and lengths[0] > 1 else None

    @cached_property
    def _first_vectors(self) -> np.ndarray:
        """The numbers of the first lists that there are, float64 `(rows, vector_size)`, NaN where one is missing."""
        lists = self._plain.drop_null()[:_VECTOR_ROWS]
        lists = lists.filter(pc.greater(pc.list_value_length(lists), 0))
        flat = pc.cast(pc.list_flatten(lists), pa.float64()).to_numpy(zero_copy_only=False)
        return np.asarray(flat.reshape(-1, self.vector_size or 1))

    @property
    def has_gaps(self) -> bool:
        """Whether single numbers of its lists are missing."""
        some = np.isnan(self._first_vectors)
        return bool((some.any(axis=1) & ~some.all(axis=1)).any())

    @property
    def neighbor_correlation(self) -> float:
        """Mean correlation of neighboring numbers in its lists: about 0 of embeddings, whose numbers have no order."""
        vectors = self._first_vectors
        if len(vectors) < _LEAST_VECTORS or vectors.shape[1] < 3:
            return 0.0
        centered = np.nan_to_num(vectors - np.nanmean(vectors, axis=0))
        deviation = centered.std(axis=0)
        found = centered.T @ centered / len(centered) / np.maximum(np.outer(deviation, deviation), 1e-30)
        return float(np.mean(np.diagonal(found, 1)))

    @cached_property
    def holds_images(self) -> bool:
        """Whether the values are the bytes of PNG or JPEG files."""
        if not (pa.types.is_binary(self._plain.type) or pa.types.is_large_binary(self._plain.type)):
            return False
        starts = [value[:8] for value in self._plain.to_pylist() if value]
        return bool(starts) and all(start == _PNG or start.startswith(_JPEG) for start in starts)

    @property
    def is_record(self) -> bool:
        """Whether the values are of a type that preprocessing cannot read."""
        return why_unreadable(self.column.type) is not None

    @property
    def is_timestamp(self) -> bool:
        """Whether the column is a Parquet timestamp or date."""
        return bool(pa.types.is_timestamp(self.column.type) or pa.types.is_date(self.column.type))

    @cached_property
    def text(self) -> pa.Array:
        """The values as text, or the text of every value of the lists."""
        column = self._plain
        if self.is_list:
            column = pc.list_flatten(column)
        elif pa.types.is_binary(column.type):
            column = pa.array([v.decode("utf-8", "replace") if v else None for v in column.to_pylist()], pa.string())
        text = to_text(column)
        return (
            text if self.is_list else pc.if_else(pc.is_in(text, pa.array(self.missing_texts, pa.string())), None, text)
        )

    @cached_property
    def _plain(self) -> pa.Array:
        chunks = [plain(chunk) for chunk in self.column.chunks]
        return pa.concat_arrays(chunks) if chunks else plain(pa.array([], self.column.type))

    # === Values ===

    @cached_property
    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Distinct present values as text, and how often each occurs, the most frequent first."""
        counted = pc.value_counts(self.text.drop_null())
        values = counted.field("values").to_numpy(zero_copy_only=False)
        counts = counted.field("counts").to_numpy()
        order = np.lexsort((values.astype(str), -counts)) if len(values) else np.empty(0, np.int64)
        return values[order], counts[order]

    @cached_property
    def codes(self) -> np.ndarray:
        """`(rows,)`, a number for each distinct value, -1 where missing."""
        return np.asarray(pc.fill_null(self.text.dictionary_encode().indices, -1).to_numpy(zero_copy_only=False))

    @property
    def num_present(self) -> int:
        """Values that are there."""
        return int(self.counts[1].sum())

    @property
    def missing(self) -> float:
        """Share of rows without a value."""
        return float(self.column.null_count / max(len(self.column), 1)) if self.is_list else self._text_missing

    @property
    def _text_missing(self) -> float:
        return float(self.text.null_count / max(len(self.text), 1))

    @property
    def distinct(self) -> int:
        """Distinct values in the sample."""
        return len(self.counts[0])

    @cached_property
    def estimated_distinct(self) -> int:
        """Distinct values of the whole log, at least (Chao 1984: D + f1^2 / 2 f2; the sample is not a random one)."""
        counts = self.counts[1]
        once, twice = int(np.sum(counts == 1)), int(np.sum(counts == 2))
        if self.total_rows <= len(self.column) or not once:
            return self.distinct
        unseen = once**2 / (2 * twice) if twice else once * (once - 1) / 2
        return int(min(self.distinct + unseen, max(self.total_rows, self.distinct)))

    @property
    def most_frequent(self) -> tuple[str, float]:
        """The value that occurs most, and its share of those that are there."""
        return str(self.counts[0][0]), float(self.counts[1][0] / max(self.num_present, 1))

    @property
    def distinct_text(self) -> str:
        """How many distinct values there are, for the reason of a guess."""
        estimated = self.estimated_distinct
        if estimated == self.distinct:
            return f"{estimated:,} values"
        return f"{self.distinct:,} values in the sample, {float(f'{estimated:.2g}'):,.0f} or more in all"

    @property
    def missing_text(self) -> str:
        """How often there is none, for the end of a reason; empty if never."""
        if self.missing <= 0:
            return ""
        return f"; {self.missing:.1%} missing" if self.missing >= 0.001 else "; under 0.1% missing"

    # === Numbers ===

    @cached_property
    def numbers(self) -> np.ndarray | None:
        """`(rows,)` float64, NaN where missing or not a number; `None` for a column without numbers."""
        if self.is_list or self.is_record or self.is_timestamp or not self.num_present:
            return None
        coded = self.text.dictionary_encode()
        values = np.array([_number(value) for value in coded.dictionary.to_pylist()] + [np.nan])
        numbers = values[pc.fill_null(coded.indices, len(values) - 1).to_numpy(zero_copy_only=False)]
        readable = np.count_nonzero(~np.isnan(numbers))
        known_as_nan = int(pc.sum(pc.is_in(pc.utf8_lower(self.text), pa.array(["nan"]))).as_py() or 0)
        return numbers if readable and readable >= _READABLE * (self.num_present - known_as_nan) else None

    @cached_property
    def unreadable(self) -> list[str]:
        """Distinct values that are not numbers in a column of numbers."""
        if self.numbers is None:
            return []
        return [value for value in self.counts[0].tolist() if np.isnan(_number(value)) and value.lower() != "nan"]

    @cached_property
    def present_numbers(self) -> np.ndarray:
        """The finite numbers."""
        numbers = self.numbers if self.numbers is not None else np.empty(0)
        return np.asarray(numbers[np.isfinite(numbers)])

    @property
    def skewness(self) -> float:
        """The third standardized moment of the finite numbers; 0 where they are all alike."""
        return _skewness(self.present_numbers)

    @property
    def log_skewness(self) -> float:
        """The same of `sign(x) * log(1 + |x|)`."""
        return _skewness(np.sign(self.present_numbers) * np.log1p(np.abs(self.present_numbers)))

    @property
    def is_integer(self) -> bool:
        """Whether every number is a whole one."""
        return bool(len(self.present_numbers)) and bool(np.all(self.present_numbers == np.floor(self.present_numbers)))

    @property
    def is_binary(self) -> bool:
        """Whether the values are 0 and 1, both of them."""
        return set(np.unique(self.present_numbers).tolist()) == {0.0, 1.0} and not self.unreadable

    @cached_property
    def has_decimal_commas(self) -> bool:
        """Whether the values are numbers such as `12,50`, which preprocessing reads as text."""
        if self.numbers is not None or self.is_list or self.is_record or not self.num_present:
            return False
        values = self.counts[0].tolist()
        readable = [found for value in values if (found := _DECIMAL_COMMA.fullmatch(value))]
        places = {len(found["places"]) for found in readable if found["places"]}
        # Two joined ids look alike, but seldom have as many digits each time.
        return len(readable) >= _READABLE * len(values) and len(places) == 1

    # === Texts ===

    @cached_property
    def is_prose(self) -> bool:
        """Whether it holds sentences or titles: most have three words or more, and there are too many to be names."""
        is_other = self.is_list or self.is_record or self.holds_images or self.is_written_list
        if is_other or self.numbers is not None or self.separator:
            return False
        if not self.num_present or not (
            self.distinct >= _MANY_TEXTS or self.distinct > _TEXT_DISTINCT * self.num_present
        ):
            return False
        values = self.counts[0][:1000].tolist()
        has_words = np.mean([value.count(" ") >= 2 for value in values]) > 0.5
        return bool(has_words and np.mean([len(value) for value in values]) > _TEXT_LENGTH)

    # === Lists ===

    @cached_property
    def is_written_list(self) -> bool:
        """Whether the values are lists that a program wrote as text."""
        if self.is_list or self.is_record or not self.num_present:
            return False
        values = self.counts[0][:1000].tolist()
        written = sum(value[:1] + value[-1:] == "[]" and read_list(value) is not None for value in values)
        return bool(written >= _WRITTEN * len(values))

    @cached_property
    def separator(self) -> str | None:
        """What joins several values in a text, if anything: the pieces recur in different texts."""
        if self.is_list or self.is_record or self.numbers is not None or not self.num_present:
            return None
        if self.is_written_list or self.has_decimal_commas:
            return None
        values, counts = self.counts
        for separator in _SEPARATORS:
            joined = np.array([separator in value for value in values.tolist()])
            if counts[joined].sum() < _JOINED_SHARE * self.num_present:
                continue
            pieces = [piece for value in values.tolist() for piece in value.split(separator)]
            is_word = all(piece == piece.strip() and len(piece) <= _LONGEST_PIECE for piece in pieces)
            if is_word and len(pieces) >= 2 * len(set(pieces)) and len(set(pieces)) < len(values):
                return separator
        return None

    def list_length(self) -> int:
        """How many values 95 % of the rows have at most."""
        if self.is_list:
            lengths = pc.fill_null(pc.list_value_length(self._plain), 0).to_numpy(zero_copy_only=False)
        elif self.is_written_list:
            values, counts = self.counts
            lengths = np.repeat([len(read_list(value) or []) for value in values.tolist()], counts)
        else:
            values, counts = self.counts
            lengths = np.repeat([value.count(str(self.separator)) + 1 for value in values.tolist()], counts)
        return max(1, int(np.quantile(lengths, _LIST_QUANTILE, method="higher"))) if len(lengths) else 1

    # === Names ===

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words of the name: `viewItemID` and `view_item_id` are view, item, id."""
        spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", self.name)
        return tuple(re.findall(r"[a-z]+|[0-9]+", spaced.lower()))


def _number(text: str) -> float:
    try:
        return float(text) if "_" not in text else float("nan")  # Python reads 1_000, Arrow does not
    except ValueError:
        return float("nan")


def _skewness(numbers: np.ndarray) -> float:
    deviation = numbers.std()
    return float(np.mean(((numbers - numbers.mean()) / deviation) ** 3)) if deviation > 0 else 0.0


def determined_by(key: ColumnProfile, column: ColumnProfile) -> bool:
    """Whether a value of `key` nearly always comes with one value of `column`, as far as keys recur."""
    known = key.codes >= 0
    keys, values = key.codes[known], column.codes[known].astype(np.int64)
    distinct_keys = len(np.unique(keys))
    if len(keys) < 1.5 * distinct_keys or column.distinct < 2:
        return False
    pairs = len(np.unique(keys.astype(np.int64) * (values.max() + 2) + values))
    # A pair more than keys is a key with a second value.
    return pairs - distinct_keys <= 0.01 * distinct_keys
