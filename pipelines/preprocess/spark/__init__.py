"""The preprocessing job on Apache Spark."""
