"""From files to canonical rows; what cannot be read is rejected with its reason."""
