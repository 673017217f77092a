"""The `tfmtl` command: a file per group of steps, in the order of work."""
