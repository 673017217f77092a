"""The process that parses large REST bodies: from JSON to tensors.

Python's JSON holds up every thread of a process while it reads, so the server has it read elsewhere. Frames go through
standard input and output: lengths, a head in JSON, bytes. The tensors come back as a gRPC request would hold them.
Nothing here loads TensorFlow.
"""

import json
import signal
import struct
import sys
from typing import Any

from tfmtl.serving.protocol.messages import MESSAGES
from tfmtl.serving.protocol.signature import signatures_of
from tfmtl.serving.protocol.tensor_proto import array_to_tensor, tensor_to_array
from tfmtl.serving.server.json_body import JsonBody, read_examples, read_predict, unpack_all
from tfmtl.serving.server.limits import Limits
from tfmtl.serving.serving_error import ServingError, internal_error

LENGTHS = struct.Struct(">3I")  # of a head and two blocks


def make_question(body: bytes, encoding: str, definitions: bytes | None, version: int, limits: Limits) -> bytes:
    """The question to the process.

    Args:
        body: as it came.
        encoding: str. How it is packed.
        definitions: the serialized `SignatureDefMap` of the version, or None for the body of Classify and Regress.
        version: int.
        limits: Limits.
    """
    head = {
        "encoding": encoding,
        "is_predict": definitions is not None,
        "version": version,
        "max_message_bytes": limits.max_message_bytes,
        "max_rows": limits.max_rows,
    }
    return _frame(head, definitions or b"", body)


def read_answer(head: bytes, tensors: bytes) -> JsonBody:
    """The answer of the process.

    Raises:
        ServingError: the one that it met.
    """
    answer = json.loads(head)
    if "error" in answer:
        raise ServingError(*answer["error"])
    request = MESSAGES["PredictRequest"].FromString(tensors)
    inputs = {name: tensor_to_array(tensor) for name, tensor in request.inputs.items()}
    return JsonBody(answer["signature_name"], inputs, answer["is_by_row"])


def main() -> None:
    """Answers until there is nothing more to read."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then closes the pipe
    read, write = sys.stdin.buffer, sys.stdout.buffer
    while lengths := read.read(LENGTHS.size):
        head, definitions, body = (read.read(length) for length in LENGTHS.unpack(lengths))
        write.write(_answer(json.loads(head), definitions, body))
        write.flush()


def _answer(head: dict[str, Any], definitions: bytes, body: bytes) -> bytes:
    try:
        limits = Limits(max_message_bytes=head["max_message_bytes"], max_rows=head["max_rows"])
        text = unpack_all(body, head["encoding"], limits)
        if head["is_predict"]:
            found = read_predict(text, signatures_of(definitions), head["version"], limits)
        else:
            found = read_examples(text, limits)
        request = MESSAGES["PredictRequest"]()
        for name, array in found.inputs.items():
            array_to_tensor(array, request.inputs[name])
        answer = {"signature_name": found.signature_name, "is_by_row": found.is_by_row}
        return _frame(answer, request.SerializeToString(), b"")
    except Exception as error:  # it must go on for the next
        told = error if isinstance(error, ServingError) else internal_error(error)
        return _frame({"error": [told.code, told.message, told.http_status]}, b"", b"")


def _frame(head: dict[str, Any], *blocks: bytes) -> bytes:
    text = json.dumps(head).encode()
    return b"".join((LENGTHS.pack(len(text), *map(len, blocks)), text, *blocks))


if __name__ == "__main__":
    main()
