"""The arguments that sequence encoders have in common."""

from tfmtl.layers.sequence.pooling import check_pooling
from tfmtl.schema.checks import check_bool, check_positive_int, check_rate


def check_encoder_arguments(owner: str, *, pooling: str, use_positions: bool, dropout: float, **sizes: int) -> None:
    """Raises unless the arguments are ones a sequence encoder takes; layers that hold one check theirs by it."""
    for argument, size in sizes.items():
        check_positive_int(owner, argument, size)
    check_pooling(owner, pooling)
    check_bool(owner, "use_positions", use_positions)
    check_rate(owner, "dropout", dropout)
