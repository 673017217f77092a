"""The kinds of features as a problem file writes them: one record a kind."""
