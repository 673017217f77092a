"""The job on this machine alone, without an engine: in this process, and in others that help it."""
