"""Logs that lie in tables and not in files: BigQuery and Iceberg."""
