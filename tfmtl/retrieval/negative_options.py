"""Options of drawing negatives for the ranking."""

from dataclasses import dataclass

from tfmtl.schema.checks import check_bool, check_count, check_name, check_number, check_positive_int, error_text


@dataclass(frozen=True)
class NegativeOptions:
    """Options of `ranking_negatives`.

    Args:
        count: int. Negatives per row, at most. Defaults to `4`.
        share: float. Share of the rows that get negatives. Defaults to `1.0`.
        random: float. Share of a row's negatives that are drawn from all items; the others are drawn from what retrieval
            finds for the row. Defaults to `0.0`.
        candidates: int. Number of items that retrieval finds for a row, each drawn equally often; as many as it passes
            to the ranking. Defaults to `100`.
        keep_later: bool. Whether an item that the user takes after the row's time can be a negative of the row.
            Defaults to `False`.
        task: str. Name of the binary task that is 1 on the log's rows and 0 on negatives. Defaults to `"taken"`.
        seed: int. Seed of the draw. Defaults to `0`.
    """

    count: int = 4
    share: float = 1.0
    random: float = 0.0
    candidates: int = 100
    keep_later: bool = False
    task: str = "taken"
    seed: int = 0

    def __post_init__(self) -> None:
        for argument in ("count", "candidates"):
            check_positive_int("NegativeOptions", argument, getattr(self, argument))
        for argument in ("share", "random"):
            value = getattr(self, argument)
            check_number("NegativeOptions", argument, value)
            if not 0 <= value <= 1 or (argument == "share" and not value):
                rule = "lie in (0, 1]" if argument == "share" else "lie in [0, 1]"
                raise ValueError(error_text("NegativeOptions", argument, rule, value, "Use a share such as 0.5."))
        check_bool("NegativeOptions", "keep_later", self.keep_later)
        check_name("NegativeOptions", "task", self.task)
        check_count("NegativeOptions", "seed", self.seed, "Use 0 or more.")
