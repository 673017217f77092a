"""What `tfmtl tune` searches: options of training, and the values that each may have."""

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import yaml

from tfmtl.models.presets import PRESETS
from tfmtl.pipelines.cli.option_values import PlainValues
from tfmtl.schema.checks import did_you_mean
from tfmtl.training.train_options import TrainOptions

OPTION = "set."
"""Begins the name of a setting that is an option of the preset, as in `set.num_experts`."""

_RANGE = ("low", "high", "log", "step")
_ADVICE = "Write [4, 8] for a choice, {low: 1e-4, high: 1e-2, log: true} for a range."


class Trial(Protocol):
    """What suggests values, as Optuna's `Trial` does."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = ..., log: bool = ...) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = ..., log: bool = ...
    ) -> float: ...


@dataclass(frozen=True)
class Setting:
    """One option and the values it may have.

    Args:
        name: str. A field of `TrainOptions`, or `set.` and an option of the preset.
        choices: the values, or None for a range. Defaults to `None`.
        low: smallest value of a range. Defaults to `None`.
        high: largest value; with `low` an int, the values are whole numbers. Defaults to `None`.
        log: bool. Whether a factor of ten counts the same everywhere. Defaults to `False`.
        step: distance of two values. Defaults to `None`: 1 of whole numbers, else any.
    """

    name: str
    choices: tuple[Any, ...] | None = None
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None

    def suggest(self, trial: Trial) -> Any:
        """A value for a trial."""
        if self.choices is not None:
            # Lists are no values of Optuna's choices; as text all are.
            return json.loads(trial.suggest_categorical(self.name, [json.dumps(value) for value in self.choices]))
        assert self.low is not None and self.high is not None
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(self.name, self.low, self.high, step=int(self.step or 1), log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that stand for all others when they are checked."""
        return self.choices if self.choices is not None else (self.low, self.high)


class SearchSpace:
    """The settings of a search.

    An option of the preset is left out of trials whose preset does not have it, so that presets may be searched with
    the options of each.

    Args:
        texts: name -> YAML: a list of choices, or a mapping with `low`, `high` and perhaps `log` or `step`.
        fixed: all other options of training.

    Raises:
        ValueError: a name or a value is none, or there is nothing to search.
    """

    def __init__(self, texts: Mapping[str, str], fixed: TrainOptions) -> None:
        self.fixed = fixed
        self.settings = [_read(name, text) for name, text in texts.items()]
        if not self.settings:
            raise ValueError(f"tune: `space` must name a setting at least. Received: none. {_ADVICE}")
        presets = next((each.choices for each in self.settings if each.name == "preset"), None) or (fixed.preset,)
        for setting in self.settings:
            if setting.name.startswith(OPTION):
                known = sorted({name for preset in presets for name in _options_of(preset)})
                what = f"options of {', '.join(map(str, presets))} behind '{OPTION}'"
                _check_name(setting.name.removeprefix(OPTION), known, what)
            else:
                names = [each.name for each in fields(TrainOptions) if each.name != "preset_options"]
                _check_name(setting.name, names, f"options of training, or '{OPTION}' and one of the preset")
                for value in setting.ends:
                    self.options({setting.name: value})

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Setting -> value for a trial."""
        found: dict[str, Any] = {}
        first = sorted(self.settings, key=lambda each: each.name != "preset")  # the others may depend on it
        for setting in first:
            preset = found.get("preset", self.fixed.preset)
            name = setting.name.removeprefix(OPTION)
            if setting.name == name or name in _options_of(preset):
                found[setting.name] = setting.suggest(trial)
        return found

    def options(self, values: Mapping[str, Any]) -> TrainOptions:
        """The options of a trial.

        Raises:
            ValueError: values do not go together.
        """
        options = {name: value for name, value in values.items() if not name.startswith(OPTION)}
        preset = options.get("preset", self.fixed.preset)
        own = {name.removeprefix(OPTION): value for name, value in values.items() if name.startswith(OPTION)}
        kept = self.fixed.preset_options
        if preset != self.fixed.preset:
            kept = {name: value for name, value in kept.items() if name in _options_of(preset)}
        merged = {name: tuple(value) if isinstance(value, list) else value for name, value in {**kept, **own}.items()}
        return TrainOptions(**{**self.fixed.to_dict(), **options, "preset_options": merged})


def _options_of(preset: Any) -> list[str]:
    """The options of a preset; none of what is no preset, which is refused elsewhere."""
    made = PRESETS.get(preset)
    return [] if made is None else [name for name in inspect.signature(made).parameters if name != "inputs"]


def _read(name: str, text: str) -> Setting:
    try:
        value = yaml.load(text, Loader=PlainValues)  # a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(f"tune: `space` must be YAML. Received: '{name}={text}'. {_ADVICE}") from error
    if isinstance(value, list) and value:
        return Setting(name, choices=tuple(value))
    if isinstance(value, Mapping) and not set(value) - set(_RANGE) and {"low", "high"} <= set(value):
        numbers = [value[key] for key in ("low", "high", "step") if key in value]
        right = all(isinstance(each, int | float) and not isinstance(each, bool) for each in numbers)
        if right and value["low"] < value["high"] and isinstance(value.get("log", False), bool):
            if value.get("log") and ("step" in value or value["low"] <= 0):
                raise ValueError(
                    f"tune: `space` must have a low above 0 and no step where log is true. Received: '{name}={text}'."
                )
            return Setting(name, **value)
    raise ValueError(f"tune: `space` must give choices or a range. Received: '{name}={text}'. {_ADVICE}")


def _check_name(name: str, known: Sequence[str], what: str) -> None:
    if name not in known:
        raise ValueError(
            f"tune: `space` must name {what}. Received: '{name}'.{did_you_mean(name, known)} Known: {list(known)}."
        )
