"""The parts of the gRPC and REST clients."""
