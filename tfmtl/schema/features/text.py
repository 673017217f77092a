"""Free text: titles, descriptions, search phrases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tfmtl.schema.checks import check_choice, check_minimum, check_name
from tfmtl.schema.features.column_feature import ColumnFeature
from tfmtl.schema.features.feature_record import SIDES, Guess
from tfmtl.schema.features.shared_table import check_shared_table
from tfmtl.schema.forms import EncodedTensor, RequestInput
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.reserved import JOINT, RESERVED_IDS

if TYPE_CHECKING:
    from tfmtl.schema.problem import Problem

TOKENS = ("words", "ngrams", "both")
ENCODERS = ("mean", "convolution", "gru", "transformer")
_MUST_AGREE = ("tokens", "dim", "min_count", "max_size", "ngrams", "buckets", "vectors", "train_vectors")


@dataclass(frozen=True)
class TextFeature(ColumnFeature):
    """A column of text, of which an encoder makes one field.

    Text is cut into words: runs of letters, marks and digits in lower case; symbols such as emojis, and the characters
    of Han, Hiragana and Katakana, which are written without spaces, are words of their own; everything else separates.
    Text is not composed otherwise: `ä` in one and in two characters differ. Words seen in the training split have rows
    of a table (`words`). Sub-words are the runs of a few characters of every word with its two ends, `<` and `>`,
    hashed (`ngrams`): nothing has to be learned for them, and words never seen before, misspelled ones and other forms
    of known ones have some in common with what was seen. With `both` the encoder reads the words in their order, and
    the mean of the sub-words is added. Text that is missing, or without any word, has a learned field of its own.

    Args:
        name: str. The feature's name everywhere, and its column's.
        tokens: `"words"`, `"ngrams"` or `"both"`. Defaults to `"both"`.
        encoder: `"mean"`, which no order of the words changes, `"convolution"`, `"gru"` or `"transformer"`. Defaults to
            `"mean"`.
        max_length: int. Words of a text that are read, the first ones. Defaults to `64`.
        min_count: int. Words seen fewer times in the training split are out of vocabulary. Defaults to `2`.
        max_size: int or None. Keeps the most frequent words only. Defaults to `50000`.
        ngrams: tuple of two ints. Shortest and longest run of characters. Defaults to `(3, 5)`.
        max_ngrams: int. Runs of a text that are read, the first ones. Defaults to `256`.
        buckets: int. Rows of the table that runs are hashed to. Defaults to `16384`.
        table: str or None. Texts naming the same table share vocabulary and rows. Defaults to `None`: one of its own.
        vectors: str or None. File of word vectors that the rows of words start from, `dim` numbers each: the text
            format of word2vec, GloVe and fastText, or `.npz` with the arrays `words` and `vectors`. Read when a model
            is trained. Defaults to `None`.
        train_vectors: bool. Whether training changes the rows of a table with `vectors`. Defaults to `True`.
        dim: int. Width of the tables. Defaults to `16`.
        side: `"user"`, `"item"` or `"context"`. Defaults to `"context"`.
        column: str or None. The column of the log, where it has a name of its own. Defaults to `None`: the name.
        missing: tuple of str. Texts of this column that mean missing, beside the problem's. Defaults to none.
        dropout: float in [0, 1). Share of rows that are trained as if the text were missing. Defaults to `0.0`.

    Reference:
        Bojanowski et al. 2017 (fastText), https://arxiv.org/abs/1607.04606, section 3.2: words as sums of hashed
        character runs; we take means, and read words and runs apart.
    """

    kind: ClassVar[str] = "text"

    name: str
    tokens: Annotated[str, TOKENS] = "both"
    encoder: Annotated[str, ENCODERS] = "mean"
    max_length: int = 64
    min_count: int = 2
    max_size: int | None = 50000
    ngrams: tuple[int, ...] = (3, 5)
    max_ngrams: int = 256
    buckets: int = 16384
    table: str | None = None
    vectors: str | None = None
    train_vectors: bool = True
    dim: int = 16
    side: Annotated[str, SIDES] = "context"
    column: str | None = None
    missing: tuple[str, ...] = ()
    dropout: float = 0.0

    def __post_init__(self) -> None:
        owner = self.check_common_keys()
        if self.table is not None:
            check_name(owner, "table", self.table)
        check_choice(owner, "tokens", self.tokens, TOKENS)
        check_choice(owner, "encoder", self.encoder, ENCODERS)
        for argument in ("max_length", "min_count", "max_size", "max_ngrams", "buckets"):
            if getattr(self, argument) is not None:
                check_minimum(owner, argument, getattr(self, argument), 1)
        if len(self.ngrams) != 2 or not 1 <= self.ngrams[0] <= self.ngrams[1]:
            raise ProblemError(
                f"{owner}: `ngrams` must be a shortest and a longest length, at least 1. "
                f"Received: ngrams={list(self.ngrams)}. Use [3, 5]."
            )
        if self.vectors is not None and not self.has_words:
            raise ProblemError(
                f"{owner}: `vectors` must stand beside words. Received: tokens='{self.tokens}'. "
                "Use `tokens: words` or `tokens: both`."
            )
        if self.vectors is None and not self.train_vectors:
            raise ProblemError(
                f"{owner}: `train_vectors: false` must stand beside `vectors`, or the words would never say anything. "
                "Received: vectors=None. Name a file of word vectors."
            )

    @classmethod
    def guess(cls, column: Any) -> Guess | None:
        if not column.is_prose:
            return None
        return Guess({}, f"free text, {column.distinct_text}{column.missing_text}", rank=1)

    @property
    def has_words(self) -> bool:
        """Whether words have a vocabulary."""
        return self.tokens in ("words", "both")

    @property
    def has_ngrams(self) -> bool:
        """Whether runs of characters are read."""
        return self.tokens in ("ngrams", "both")

    @property
    def table_name(self) -> str:
        """The table of the words."""
        return self.table or self.name

    @property
    def ngrams_key(self) -> str:
        """Name of the tensor of the hashed runs."""
        return f"{self.name}{JOINT}ngrams"

    @property
    def ngrams_table(self) -> str:
        """The table of the hashed runs."""
        return f"{self.table_name}{JOINT}ngrams"

    @property
    def not_in_events(self) -> str | None:
        return None

    def inputs(self) -> tuple[RequestInput, ...]:
        text = f'text of side `{self.side}`, UTF-8, of which {self.max_length} words are read; `""` where missing'
        return (RequestInput(self.name, "string", (), self.side, text),)

    def tensors(self, problem: Problem) -> tuple[EncodedTensor, ...]:
        found = []
        if self.has_words:
            found.append(
                EncodedTensor(
                    self.name,
                    "lookup",
                    self.name,
                    (self.max_length,),
                    self.table_name,
                    dim=self.dim,
                    side=self.side,
                    is_trained=self.train_vectors,
                )
            )
        if self.has_ngrams:
            shape, rows = (self.max_ngrams,), self.buckets + RESERVED_IDS
            found.append(
                EncodedTensor(
                    self.ngrams_key, "lookup", self.name, shape, self.ngrams_table, rows, self.dim, side=self.side
                )
            )
        return tuple(found)

    def check(self, problem: Problem) -> None:
        check_shared_table(problem, self, self.table_name if self.has_words else self.ngrams_table, _MUST_AGREE)
