"""Recipes of the balancers: a first set of arguments each, and another value for every argument."""

from typing import Any

from tfmtl.balancing import (
    FAMO,
    IMTLG,
    MGDA,
    AlignedMTL,
    Balancer,
    CAGrad,
    DynamicWeightAverage,
    FixedWeights,
    GeometricMean,
    GradNorm,
    GradVac,
    NashMTL,
    PCGrad,
    RandomWeights,
    UncertaintyWeights,
    UPGrad,
)

RECIPES: dict[type[Balancer], dict[str, Any]] = {
    FixedWeights: {"task_weights": (1.0, 0.5, 2.0)},
    UncertaintyWeights: {"learning_rate": 0.1},
    DynamicWeightAverage: {"temperature": 1.0, "steps_per_period": 1},
    RandomWeights: {},
    GradNorm: {},
    GeometricMean: {},
    FAMO: {},
    PCGrad: {},
    GradVac: {"decay": 0.3},
    CAGrad: {},
    MGDA: {},
    IMTLG: {},
    NashMTL: {},
    AlignedMTL: {},
    UPGrad: {},
}

ALTERNATIVES: dict[type[Balancer], dict[str, Any]] = {
    FixedWeights: {"task_weights": None},
    UncertaintyWeights: {"learning_rate": 0.05},
    DynamicWeightAverage: {"temperature": 3.0, "steps_per_period": 2},
    RandomWeights: {"seed": 1},
    GradNorm: {"alpha": 0.1, "learning_rate": 0.2},
    FAMO: {"learning_rate": 0.1, "gamma": 3.0},
    PCGrad: {"seed": 1},
    GradVac: {"decay": 0.1, "seed": 1},
    CAGrad: {"alpha": 0.8},
}
