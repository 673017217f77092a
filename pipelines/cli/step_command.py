"""A command of `tfmtl`: options from its function, from a dataclass and from a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from tfmtl.pipelines.cli.quiet_start import start_tensorflow
from tfmtl.pipelines.cli.run_file import read_run_file


def _take(context: typer.Context, path: Path | None) -> None:
    """Makes the file's values the defaults of this call."""
    if path is not None:
        names = [str(option.name) for option in context.command.get_params(context)]
        context.default_map = read_run_file(
            path, str(context.command.name), [name for name in names if name not in ("config", "help")]
        )


def _config(
    config: Annotated[
        Path | None,
        typer.Option(
            is_eager=True,
            expose_value=False,
            callback=_take,
            show_default=False,
            help="YAML or JSON file with options of this step by their names, as in `batch_size: 256`. Options on the "
            "command line win. One file may hold a section per step.",
        ),
    ] = None,
) -> None: ...


class StepCommand(TyperCommand):
    """A command whose options may also come from a file (`--config`), and those of `options_of` from a dataclass.

    The latter are read when they are asked for: that may import TensorFlow, which `tfmtl --help` need not wait for.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += _parameters(_config)
        self._dataclass_options = getattr(self.callback, "dataclass_options", None)
        self._names: list[str] | None = None

    def get_params(self, ctx: Any) -> Any:
        if self._dataclass_options is not None and self._names is None:
            start_tensorflow()

            def options() -> None: ...

            options.__signature__ = signature = self._dataclass_options.signature()  # type: ignore[attr-defined]
            options.__annotations__ = {name: found.annotation for name, found in signature.parameters.items()}
            self._names = list(signature.parameters)
            self.params += _parameters(options)
        return super().get_params(ctx)

    def invoke(self, ctx: Any) -> Any:
        if self._names is not None:
            ctx.obj = {name: ctx.params.pop(name) for name in self._names}
        return super().invoke(ctx)


def _parameters(function: Callable[..., None]) -> list[Any]:
    """A function's parameters as Typer makes them."""
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return list(typer.main.get_command(app).params)
