"""Choose the gRPC server: the fast one for a known version of gRPC, otherwise `grpc.aio`."""

import logging
from collections.abc import Mapping
from types import ModuleType

import grpc

from tfmtl.serving.server.aio_grpc_server import AioGrpcServer
from tfmtl.serving.server.limits import Limits
from tfmtl.serving.server.security import Security
from tfmtl.serving.server.unary_call import Method, UnaryServer

logger = logging.getLogger(__name__)

# `GrpcServer` stands on gRPC's inner names, which may mean something else in another version.
_KNOWN_VERSION = "1.85."
_NAMES = (
    "CompletionQueue",
    "CompletionType",
    "ReceiveCloseOnServerOperation",
    "ReceiveMessageOperation",
    "SendInitialMetadataOperation",
    "SendMessageOperation",
    "SendStatusFromServerOperation",
    "Server",
)


def make_grpc_server(methods: Mapping[str, Method], limits: Limits, security: Security) -> UnaryServer:
    """Makes a server; to be called in its event loop. Arguments as of `GrpcServer`."""
    if has_known_core(grpc.__version__):
        from tfmtl.serving.server.grpc_server import GrpcServer

        return GrpcServer(methods, limits, security)
    logger.info("The core of gRPC %s is not known: calls go through grpc.aio, which is slower.", grpc.__version__)
    return AioGrpcServer(methods, limits, security)


def has_known_core(version: str) -> bool:
    """Whether gRPC is of the version that `GrpcServer` was written for, and has the names that it uses."""
    try:
        core: ModuleType = __import__("grpc._cython.cygrpc", fromlist=["cygrpc"])
    except ImportError:
        return False
    return version.startswith(_KNOWN_VERSION) and all(hasattr(core, name) for name in _NAMES)
