"""Propose a problem file from a bounded sample of the log."""
