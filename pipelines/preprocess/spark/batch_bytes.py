"""Arrow batches and tables as bytes (Arrow's stream format) and back."""

import pyarrow as pa


def to_bytes(data: pa.RecordBatch | pa.Table) -> bytes:
    """Everything in `data`, its types included."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, data.schema) as writer:
        writer.write(data)
    return bytes(sink.getvalue())


def from_bytes(content: bytes) -> pa.Table:
    """The table; what was one batch is one batch of it."""
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all()
