"""What every kind of task says of itself in the problem file: a file a kind. Needs the standard library alone."""
