"""A first problem file, proposed from a bounded look at the log."""
