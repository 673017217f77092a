"""The records of features, as a problem file describes them: one module per kind."""
