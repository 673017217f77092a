"""The local model server's parts."""
