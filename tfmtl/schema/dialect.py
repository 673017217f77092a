"""The dialect of a log's text files: quotation marks and delimiter."""

from dataclasses import dataclass
from typing import Annotated

from tfmtl.schema.checks import check_choice
from tfmtl.schema.problem_error import ProblemError
from tfmtl.schema.strict import check_types

QUOTES = ("double", "none")


@dataclass(frozen=True)
class Dialect:
    """The characters between and around the values of CSV and TSV files.

    Args:
        quote: `"double"`, `"none"` or None. With `"double"`, a value that begins with a quotation mark ends with the
            next one, whatever stands between, line breaks included; two marks inside it are one. With `"none"`, marks
            are text and every line is a row. Defaults to `None`: double marks in CSV files, where a value that seems to
            hold whole rows stops the job, and none in TSV files.
        delimiter: str or None. The character between two values. Defaults to `None`: a comma in CSV files, a tab in TSV
            files.

    Example:

    >>> Dialect(quote="none", delimiter=";").delimiter
    ';'
    """

    quote: Annotated[str | None, QUOTES] = None
    delimiter: str | None = None

    def __post_init__(self) -> None:
        check_types("Dialect", self)
        if self.quote is not None:
            check_choice("Dialect", "quote", self.quote, QUOTES)
        if self.delimiter is not None and (
            len(self.delimiter) != 1 or self.delimiter in '"\r\n' or not self.delimiter.isascii()
        ):
            raise ProblemError(
                "Dialect: `delimiter` must be one ASCII character and neither a quotation mark nor a line break. "
                f"Received: delimiter={self.delimiter!r}."
            )
