"""Options of drawing negatives for the ranking."""

from dataclasses import dataclass

from tfmtl.schema.checks import check_bool, check_count, check_name, check_number, check_positive_int, error_text


@dataclass(frozen=True)
class NegativeOptions:
    """Options of `ranking_negatives`.

    Args:
        count: int. Negatives per row, at most. Defaults to `4`.
        share: float. Share of the rows that get negatives. Defaults to `1.0`.
        candidates: int. Number of items that retrieval finds for a row, each drawn equally often; as many as it passes
            to the ranking. Defaults to `100`.
        score: bool. Whether the ranking reads the logit of retrieval, as the feature `retrieval`. Defaults to `True`.
        task: str. Name of the binary task that is 1 on the log's rows and 0 on negatives. Defaults to `"taken"`.
        seed: int. Seed of the draw. Defaults to `0`.
    """

    count: int = 4
    share: float = 1.0
    candidates: int = 100
    score: bool = True
    task: str = "taken"
    seed: int = 0

    def __post_init__(self) -> None:
        for argument in ("count", "candidates"):
            check_positive_int("NegativeOptions", argument, getattr(self, argument))
        check_number("NegativeOptions", "share", self.share)
        if not 0 < self.share <= 1:
            advice = "Use a share such as 0.5."
            raise ValueError(error_text("NegativeOptions", "share", "lie in (0, 1]", self.share, advice))
        check_bool("NegativeOptions", "score", self.score)
        check_name("NegativeOptions", "task", self.task)
        check_count("NegativeOptions", "seed", self.seed, "Use 0 or more.")
