"""The training step: from a batch to the new weights."""
