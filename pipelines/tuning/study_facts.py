"""What a search found, as plain values for its page."""

import json
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from tfmtl.pipelines.tuning.study import Study

_LEAST = 3  # ended trials, below which nothing is said of importance


def study_facts(study: Study) -> dict[str, Any]:
    """Trials in order, the importance of every setting, and the best trial's number.

    Importance is PED-ANOVA's: how much a setting decides whether a trial is among the better ones. It needs three ended
    trials, and is of settings that all of them have.

    Args:
        study: the search.

    Reference:
        Watanabe et al. 2023, "PED-ANOVA", https://arxiv.org/abs/2304.10255.
    """
    trials = study.optuna.trials
    best = study.best
    return {
        "monitor": study.monitor,
        "direction": study.direction,
        "best": None if best is None else best.number,
        "trials": [_facts(each) for each in trials],
        "importances": _importances(study.optuna),
        "logarithmic": sorted(setting.name for setting in study._space.settings if setting.log),
        "best_file": study.folder.best.name,
    }


def _facts(trial: FrozenTrial) -> dict[str, Any]:
    values = {name: json.loads(value) if isinstance(value, str) else value for name, value in trial.params.items()}
    curve = [value for _, value in sorted(trial.intermediate_values.items())]
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value if trial.state == TrialState.COMPLETE else None,
        "settings": values,
        "curve": curve,
        "seconds": trial.duration.total_seconds() if trial.duration else None,
        "error": trial.user_attrs.get("error"),
    }


def _importances(study: optuna.Study) -> dict[str, float]:
    ended = [each for each in study.trials if each.state == TrialState.COMPLETE]
    if len(ended) < _LEAST or len({each.value for each in ended}) < 2:
        return {}
    common = set.intersection(*[set(each.params) for each in ended])
    varied = sorted(name for name in common if len({str(each.params[name]) for each in ended}) > 1)
    if not varied:
        return {}
    found = optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.PedAnovaImportanceEvaluator(), params=varied
    )
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))
