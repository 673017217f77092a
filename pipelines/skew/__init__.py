"""Whether what is served is what was trained: logged requests against the training data and the graph."""
