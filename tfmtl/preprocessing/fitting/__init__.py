"""Fitting on the training split: vocabularies, statistics, time cuts."""
