"""The command that writes what TF Serving wants to serve a model elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.screen import console
from serving.served_name import served_name


def deploy_files(
    models: Annotated[list[Path], typer.Argument(help="Output folders of `tfmtl export`, one per model.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the files go.")],
    canary: Annotated[
        bool, typer.Option("--canary", help="Label the newest version canary, the one before it stable.")
    ] = False,
    budget: Annotated[float, typer.Option(help="Milliseconds to an answer, from which batching follows.")] = 50.0,
    cpus: Annotated[int, typer.Option(help="Cores of a server.")] = 2,
    image: Annotated[str, typer.Option(help="Container image.")] = "tensorflow/serving:2.21.0",
) -> None:
    """Write TF Serving's configuration, container and Kubernetes files and a runbook; measures batches on the way."""
    from pipelines.cli.screen import print_batches
    from serving.deployment.deploy_files import DeployOptions, write_deploy_files

    names = [served_name(model) for model in models]
    if len(set(names)) < len(names):
        raise ValueError(f"deploy-files: `models` must have names of their own. Received: {names}.")
    with console.status("Measuring how long batches take ..."):
        times = write_deploy_files(
            dict(zip(names, models, strict=True)), output, DeployOptions(canary, budget, cpus, image)
        )
    print_batches(console, times)
    console.print(f"Wrote {output}. Next: read {output}/RUNBOOK.md")
