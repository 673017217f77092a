"""The one error a mistake in a problem description raises."""


class ProblemError(ValueError):
    """A mistake in a problem file: the text says where it is and what to do."""
