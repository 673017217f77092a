"""What is learned from the training split: vocabularies, statistics, time cuts."""
