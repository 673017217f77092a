"""A search over options of training."""
