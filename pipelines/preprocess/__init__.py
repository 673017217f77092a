"""Raw logs to TFRecords with point-in-time sequences: the job in `plan.py`, its engines in `beam` and `spark`."""
