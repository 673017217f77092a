"""`python -m tfmtl.pipelines.cli`: the `tfmtl` command without an installation."""

from tfmtl.pipelines.cli.app import main

main()
