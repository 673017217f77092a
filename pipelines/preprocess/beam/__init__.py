"""The preprocessing job on Apache Beam: in memory, in processes, on Dataflow, Flink or Spark clusters."""
