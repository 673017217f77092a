"""Preprocessing from raw logs to TFRecords: plain functions on Arrow batches, independent of the engine."""
