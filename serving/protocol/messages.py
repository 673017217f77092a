"""The messages of TF Serving's API that client and server need, made without importing TensorFlow.

`tensorflow_serving.apis` imports all of TensorFlow: seconds, and hundreds of megabytes, for a program that only
sends requests. On the wire a message is field numbers and types, no names, so these few declarations write and
read the same bytes. They live in a descriptor pool of their own and never meet the messages TensorFlow
registers; both work in one process. Fields the client does not use are left out, and enums are declared as the
int32 they travel as.

Source: the .proto files of tensorflow_serving/apis and tensorflow/core of TensorFlow Serving 2.21.
"""

from collections.abc import Collection, Mapping
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

# message -> {field: (number, type)}; "[type]" is repeated, "{type}" is a map from string.
DECLARATIONS: dict[str, dict[str, tuple[int, str]]] = {
    "Dim": {"size": (1, "int64")},
    "TensorShapeProto": {"dim": (2, "[Dim]"), "unknown_rank": (3, "bool")},
    "TensorProto": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "half_val": (13, "[int32]"),
        "float_val": (5, "[float]"),
        "double_val": (6, "[double]"),
        "int_val": (7, "[int32]"),
        "string_val": (8, "[bytes]"),
        "int64_val": (10, "[int64]"),
        "bool_val": (11, "[bool]"),
        "uint32_val": (16, "[uint32]"),
        "uint64_val": (17, "[uint64]"),
    },
    "Int64Value": {"value": (1, "int64")},
    "ModelSpec": {"name": (1, "string"), "version": (2, "Int64Value"), "signature_name": (3, "string")},
    "PredictRequest": {
        "model_spec": (1, "ModelSpec"),
        "inputs": (2, "{TensorProto}"),
        "output_filter": (3, "[string]"),
    },
    "PredictResponse": {"outputs": (1, "{TensorProto}"), "model_spec": (2, "ModelSpec")},
    "StatusProto": {"error_code": (1, "int32"), "error_message": (2, "string")},
    "ModelVersionStatus": {"version": (1, "int64"), "state": (2, "int32"), "status": (3, "StatusProto")},
    "GetModelStatusRequest": {"model_spec": (1, "ModelSpec")},
    "GetModelStatusResponse": {"model_version_status": (1, "[ModelVersionStatus]")},
    "TensorInfo": {"dtype": (2, "int32"), "tensor_shape": (3, "TensorShapeProto")},
    "SignatureDef": {"inputs": (1, "{TensorInfo}"), "outputs": (2, "{TensorInfo}")},
    "SignatureDefMap": {"signature_def": (1, "{SignatureDef}")},
    "BytesList": {"value": (1, "[bytes]")},
    "FloatList": {"value": (1, "[float]")},
    "Int64List": {"value": (1, "[int64]")},
    "Feature": {"bytes_list": (1, "BytesList"), "float_list": (2, "FloatList"), "int64_list": (3, "Int64List")},
    "Features": {"feature": (1, "{Feature}")},
    "Example": {"features": (1, "Features")},
    "Any": {"type_url": (1, "string"), "value": (2, "bytes")},
    "GetModelMetadataRequest": {"model_spec": (1, "ModelSpec"), "metadata_field": (2, "[string]")},
    "GetModelMetadataResponse": {"model_spec": (1, "ModelSpec"), "metadata": (2, "{Any}")},
}


def make_message_classes(package: str, declarations: Mapping[str, Mapping[str, tuple[int, str]]]) -> dict[str, Any]:
    """Makes message classes of declarations written as `DECLARATIONS`, in a descriptor pool of their own.

    Args:
        package: str. The messages' package.
        declarations: message -> field -> its number and type.

    Returns:
        Message name -> class.
    """
    file = FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in declarations.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind) in fields.items():
            _add_field(message, package, declarations, field_name, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in declarations
    }


def _add_field(
    message: DescriptorProto, package: str, known: Collection[str], name: str, number: int, kind: str
) -> None:
    """Adds one field; a map is, on the wire, a repeated message of a key and a value."""
    field = message.field.add(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
    if kind[0] in "[{":
        field.label = FieldDescriptorProto.LABEL_REPEATED
    element = kind.strip("[]{}")
    if kind[0] == "{":
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, package, known, "key", 1, "string")
        _add_field(entry, package, known, "value", 2, element)
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f".{package}.{message.name}.{entry.name}"
    elif element in known:
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f".{package}.{element}"
    else:
        field.type = FieldDescriptorProto.Type.Value(f"TYPE_{element.upper()}")


MESSAGES = make_message_classes("tfmtl.serving", DECLARATIONS)
