"""`python -m pipelines.cli`: the `tfmtl` command without an installation."""

from pipelines.cli.app import main

main()
