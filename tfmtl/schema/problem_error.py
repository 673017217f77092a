"""The error that every mistake in a problem file raises."""


class ProblemError(ValueError):
    """A mistake in a problem file; the text names the place and the remedy."""
