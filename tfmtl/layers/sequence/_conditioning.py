"""How a sequence encoder is told which task and behavior it reads for, by name."""

from tfmtl.schema.checks import check_count, check_one_of

CONDITIONINGS = ("norm", "adapter", "low_rank")


def check_conditioning(owner: str, conditioning: str, rank: int) -> None:
    """Raises unless the arguments are ones a conditioned encoder takes; layers that hold one check theirs by it."""
    check_one_of(owner, "conditioning", conditioning, CONDITIONINGS)
    check_count(owner, "rank", rank)
