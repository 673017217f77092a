"""A model server and clients that speak TF Serving's gRPC and REST APIs."""

if not __name__.startswith("tfmtl."):
    raise ImportError(f"{__name__}: must be imported as `tfmtl.{__name__}`, else its modules would be loaded twice.")
