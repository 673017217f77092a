"""The `tfmtl` command: a file a group of steps, in the order of work."""
