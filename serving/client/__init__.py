"""What the clients of both protocols have in common, and the halves that only one of them needs."""
