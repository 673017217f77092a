"""TF Serving's messages, as the .proto files of its version 2.21 declare them, without the package of its API.

That package needs one exact version of TensorFlow, and an export only writes a few messages. Their declarations lie
in `serving_api.protoset`, which protoc made: first what the prediction service needs, then what its logs need. They
live in a descriptor pool of their own and never meet the messages that TensorFlow registers.

Source: https://github.com/tensorflow/serving, tensorflow_serving/apis (Apache-2.0).
"""

from functools import cache
from importlib import resources
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet

_SERVICE = "tensorflow_serving/apis/prediction_service.proto"


def message_class(name: str) -> Any:
    """The class of a message, such as `"PredictRequest"`."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"tensorflow.serving.{name}"))


def service_protoset() -> bytes:
    """The descriptors of the prediction service, for clients without its .proto files."""
    files = _declarations().file
    end = [file.name for file in files].index(_SERVICE) + 1  # every file comes after those that it needs
    return bytes(FileDescriptorSet(file=files[:end]).SerializeToString())


@cache
def _declarations() -> FileDescriptorSet:
    return FileDescriptorSet.FromString(resources.files("tfmtl.export").joinpath("serving_api.protoset").read_bytes())


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in _declarations().file:
        pool.Add(file)
    return pool
