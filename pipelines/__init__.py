"""The engines, the data sets and the command line."""

if not __name__.startswith("tfmtl."):
    raise ImportError(f"{__name__}: must be imported as `tfmtl.{__name__}`, else its modules would be loaded twice.")
