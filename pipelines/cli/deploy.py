"""The command that writes the files for serving a model with TF Serving on other machines."""

from pathlib import Path
from typing import Annotated

import typer

from tfmtl.pipelines.cli.screen import console
from tfmtl.serving.served_name import served_name


def deploy_files(
    models: Annotated[list[Path], typer.Argument(help="Output folders of `tfmtl export`, one per model.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files.")],
    canary: Annotated[
        bool, typer.Option("--canary", help="Label the newest version canary and the one before it stable.")
    ] = False,
    budget: Annotated[float, typer.Option(help="Largest latency in milliseconds; batching is chosen from it.")] = 50.0,
    cpus: Annotated[int, typer.Option(help="Number of cores of a server.")] = 2,
    image: Annotated[str, typer.Option(help="Container image of TF Serving.")] = "tensorflow/serving:2.21.0",
) -> None:
    """Write TF Serving's configuration, container and Kubernetes files and a runbook, from measured batch times."""
    from tfmtl.pipelines.cli.screen import print_batches
    from tfmtl.serving.deployment.deploy_files import DeployOptions, write_deploy_files

    names = [served_name(model) for model in models]
    if len(set(names)) < len(names):
        raise ValueError(f"deploy-files: `models` must have different names. Received: {names}.")
    with console.status("Measuring how long batches take ..."):
        times = write_deploy_files(
            dict(zip(names, models, strict=True)), output, DeployOptions(canary, budget, cpus, image)
        )
    print_batches(console, times)
    console.print(f"Wrote {output}. Next: read {output}/RUNBOOK.md")
