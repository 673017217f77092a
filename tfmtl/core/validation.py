"""The checks of arguments, under the name that they had before `tfmtl.schema.checks`."""

from tfmtl.schema.checks import *  # noqa: F403
