"""From raw logs to TFRecords, as plain functions on Arrow batches that know no engine."""
