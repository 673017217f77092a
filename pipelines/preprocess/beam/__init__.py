"""The preprocessing job on Apache Beam: in memory, in processes, on Dataflow, Flink or Spark clusters."""

from tfmtl.schema.extras import need_extra

need_extra("preprocess", "beam", "apache_beam")
