"""`python -m pipelines.cli`, for where the `tfmtl` command is not installed."""

from pipelines.cli.app import main

main()
