"""The checks of arguments, under their old name; new code imports `tfmtl.schema.checks`."""

from tfmtl.schema.checks import *  # noqa: F403
