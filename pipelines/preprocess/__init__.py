"""Raw logs to TFRecords with point-in-time sequences, on Beam."""
