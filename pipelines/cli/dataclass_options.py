"""Options of a command that are the fields of a dataclass, so that each is written and documented once."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from tfmtl.pipelines.cli.option_values import option_values
from tfmtl.schema.argument_texts import argument_texts


@dataclass(frozen=True)
class DataclassOptions:
    """One option per field: type and default are the field's, the help is what the class's docstring says of it.

    Args:
        name: str. `module:Class`, imported when the options are asked for and not before: it may load TensorFlow.
        settings: str or None. Field with a mapping of further values, whose option is `--set name=value`. Defaults to
            `None`: there is no such field.
        leave_out: tuple of str. Fields without an option; they keep their default. Defaults to none.
    """

    name: str
    settings: str | None = None
    leave_out: tuple[str, ...] = ()

    @property
    def cls(self) -> Any:
        """The dataclass."""
        module, _, name = self.name.partition(":")
        return getattr(importlib.import_module(module), name)

    def signature(self) -> inspect.Signature:
        """The options as parameters of a function."""
        hints, helps = get_type_hints(self.cls), argument_texts(self.cls)
        parameters = []
        for field in fields(self.cls):
            option, default, hint = typer.Option(help=helps[field.name]), _default(field), hints[field.name]
            if field.name == self.settings:
                option, default, hint = typer.Option("--set", help=helps[field.name]), None, list[str] | None
            if field.name not in self.leave_out:
                annotation: Any = Annotated[hint, option]
                kind = inspect.Parameter.KEYWORD_ONLY
                parameters.append(inspect.Parameter(field.name, kind, default=default, annotation=annotation))
        return inspect.Signature(parameters)

    def make(self, owner: str, values: Mapping[str, Any]) -> Any:
        """The object with these values of its options."""
        values = dict(values)
        if self.settings is not None:
            values[self.settings] = option_values(owner, values[self.settings] or [])
        return self.cls(**values)


def options_of(options: DataclassOptions) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options of a dataclass, whose object it finds in its argument `options`.

    `StepCommand` finds them in the function's attribute `dataclass_options` and puts their values into `context.obj`.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def call(context: typer.Context, **given: Any) -> None:
            command(options=options.make(command.__name__, context.obj), **given)

        signature = inspect.signature(command)
        own = [parameter for name, parameter in signature.parameters.items() if name != "options"]
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter("context", kind, annotation=typer.Context), *own]
        call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        call.dataclass_options = options  # type: ignore[attr-defined]
        return call

    return decorate


def _default(field: "Field[Any]") -> Any:
    return field.default if field.default is not MISSING else inspect.Parameter.empty
