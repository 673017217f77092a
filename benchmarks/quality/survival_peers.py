"""Cox, a random survival forest and boosting on the six public sets, and paired differences from the networks.

    python -m benchmarks.quality.survival <folder>
    python -m benchmarks.quality.survival_peers <folder>

Peers are fitted to the same rows with the same encoding; XGBoost if it is asked for, its depth, rate and number of
trees chosen on validation among three settings; scikit-survival's boosting on sets of up to 3,000 rows, since it takes
over a minute on others. Curves are kept: what is there is not fitted again. Prints the tables of docs/results.
"""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.quality.survival import CURVES, SETS, encode, judged_and_fitted, keep, read
from benchmarks.quality.survival_indices import indices
from tfmtl.survival import SurvivalCurves, breslow_baseline

LEAST_TIME = 1e-3  # for packages that refuse 0
MOST_TIMES = 200
MOST_BOOSTED = 3000
XGBOOST_SETTINGS = ((2, 0.1), (3, 0.05), (4, 0.03))
USUAL = ("cox", "forest", "boosting")
PENALTY = 0.1
BETTER = np.array([1.0, 1.0, -1.0])  # of the differences


def main(
    data: Annotated[Path, typer.Argument(help="Folder with the files.")],
    sets: Annotated[str, typer.Option(help="Names, separated by commas; all if left out.")] = "",
    models: Annotated[str, typer.Option(help="Names; xgboost is one more, where it is installed.")] = ",".join(USUAL),
    splits: int = 5,
) -> None:
    """Fits what is not there yet and prints the tables."""
    means = ["| set | model | Antolini | Harrell | IBS |", "|---|---|---|---|---|"]
    differences = ["| set | networks less | Antolini | Harrell | IBS |", "|---|---|---|---|---|"]
    for name in sets.split(",") if sets else SETS:
        features, times, events = read(data, *SETS[name])
        for model in models.split(","):
            if model == "boosting" and len(times) > MOST_BOOSTED:
                continue
            rows = []
            for split in range(splits):
                judged, fitted = judged_and_fitted(len(times), split)
                path = CURVES / f"{model}_{name}_{split}.npz"
                if not path.is_file():
                    start = time.process_time()
                    inputs = encode(features, fitted).astype(np.float64)
                    keep(FITS[model](inputs, times, events, fitted, judged, split), model, name, split)
                    print(model, name, split, f"{time.process_time() - start:.1f} s", flush=True)
                kept = (load(CURVES / f"{who}_{name}_{split}.npz") for who in (model, "networks"))
                of_judged, of_fitted = ((times[places], events[places]) for places in (judged, fitted))
                found = (indices(of_judged, each, of_fitted, float(np.quantile(times, 0.9))) for each in kept)
                rows.append([[each[key] for key in ("antolini", "harrell", "ibs")] for each in found])
            theirs, ours = np.array(rows).transpose(1, 0, 2)  # (splits, indices)
            means.append(f"| {name} | {model} | " + " | ".join(f"{value:.3f}" for value in theirs.mean(axis=0)) + " |")
            gaps = ours - theirs
            better = ((gaps * BETTER) > 0).sum(axis=0)
            cells = (
                f"{gap.mean():+.3f} ± {gap.std(ddof=1):.3f} ({wins} of {splits})"
                for gap, wins in zip(gaps.T, better, strict=True)
            )
            differences.append(f"| {name} | {model} | {' | '.join(cells)} |")
    print("\n".join([*means, "", *differences]))


def load(path: Path) -> SurvivalCurves:
    """Curves that `keep` wrote."""
    with np.load(path) as arrays:
        return SurvivalCurves(arrays["edges"], arrays["survival"].astype(np.float64))


def cox(inputs, times, events, fitted, judged, seed):  # type: ignore[no-untyped-def]
    """lifelines' Cox model with penalty .1: with .01 it diverges on flchain without a word."""
    import pandas as pd
    from lifelines import CoxPHFitter

    x = inputs[:, inputs[fitted].std(axis=0) > 0]
    frame = pd.DataFrame(x[fitted]).assign(time=np.maximum(times[fitted], LEAST_TIME), event=events[fitted])
    model = CoxPHFitter(penalizer=PENALTY).fit(frame, "time", "event")
    risks = model.predict_log_partial_hazard(pd.DataFrame(x)).to_numpy()
    return curves_of_risks(times, events, risks, fitted, judged)


def xgboost(inputs, times, events, fitted, judged, seed):  # type: ignore[no-untyped-def]
    """XGBoost's Cox loss: depth and rate of three, and the number of trees, chosen on a fifth of the rows."""
    import xgboost as package

    labels = np.where(events == 1, 1.0, -1.0) * np.maximum(times, LEAST_TIME)
    valid, train = fitted[: len(fitted) // 5], fitted[len(fitted) // 5 :]
    whole, part, held = (package.DMatrix(inputs[rows], labels[rows]) for rows in (fitted, train, valid))
    trials = []
    for depth, rate in XGBOOST_SETTINGS:
        options = {"objective": "survival:cox", "max_depth": depth, "eta": rate, "subsample": 0.8}
        options |= {"min_child_weight": 5, "nthread": 1, "seed": seed, "verbosity": 0}
        watched = {"evals": [(held, "valid")], "early_stopping_rounds": 25, "verbose_eval": False}
        found = package.train(options, part, 600, **watched)
        trials.append((found.best_score, found.best_iteration + 1, options))
    _, rounds, options = min(trials, key=lambda trial: trial[0])
    risks = package.train(options, whole, rounds).predict(package.DMatrix(inputs), output_margin=True)
    return curves_of_risks(times, events, risks, fitted, judged)


def forest(inputs, times, events, fitted, judged, seed):  # type: ignore[no-untyped-def]
    """200 trees with 15 rows or more in a leaf; times are those of 200 quantiles of the events."""
    from sksurv.ensemble import RandomSurvivalForest

    cuts = np.unique(np.quantile(times[fitted][events[fitted] == 1], np.linspace(0.0, 1.0, MOST_TIMES + 1)))
    known = np.append(cuts, cuts[-1] + 1.0)[np.searchsorted(cuts, times[fitted])]
    model = RandomSurvivalForest(200, min_samples_leaf=15, random_state=seed)
    return sksurv_curves(model, inputs[fitted], known, events[fitted], inputs[judged])


def boosting(inputs, times, events, fitted, judged, seed):  # type: ignore[no-untyped-def]
    """100 trees of depth 3."""
    from sksurv.ensemble import GradientBoostingSurvivalAnalysis

    model = GradientBoostingSurvivalAnalysis(n_estimators=100, max_depth=3, random_state=seed)
    return sksurv_curves(model, inputs[fitted], times[fitted], events[fitted], inputs[judged])


def sksurv_curves(model, inputs, times, events, judged):  # type: ignore[no-untyped-def]
    """Fits a model of scikit-survival: its curves."""
    from sksurv.util import Surv

    model.fit(inputs, Surv.from_arrays(events == 1, times))
    at = model.unique_times_
    return SurvivalCurves(at[at > 0], model.predict_survival_function(judged, return_array=True)[:, at > 0])


def curves_of_risks(times, events, risks, fitted, judged):  # type: ignore[no-untyped-def]
    """Curves of a proportional model by the Breslow baseline of the fitted rows."""
    baseline = breslow_baseline(times[fitted], events[fitted], risks[fitted])
    ended = np.unique(times[fitted][events[fitted] == 1])
    at = np.unique(np.quantile(ended[ended > 0], np.linspace(0.0, 1.0, MOST_TIMES + 1), method="nearest"))
    return SurvivalCurves(at, np.exp(-np.exp(risks[judged])[:, np.newaxis] * baseline.at(at)))


FITS = {"cox": cox, "forest": forest, "boosting": boosting, "xgboost": xgboost}

if __name__ == "__main__":
    typer.run(main)
