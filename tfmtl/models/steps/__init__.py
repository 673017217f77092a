"""What happens between a batch and the next weights."""
