"""The records of tasks, as a problem file describes them: one module per kind. Needs only the standard library."""
