"""Small operator problems with planted answers, and networks for them."""

from typing import Any

import numpy as np

from tfmtl.operators import (
    MLPBranch,
    MLPTrunk,
    OperatorData,
    OperatorNetwork,
    PeriodicInitialCondition,
    PeriodicTrunk,
    RelativeL2Loss,
)

CELLS, TIMES = 8, 4


def waves(count: int = 12, tasks: tuple[str, ...] = ("a", "b"), seed: int = 0) -> OperatorData:
    """u(t, x) = (1 + c t) u0(x), u0 a wave with random amplitudes; tasks differ in the range of c."""
    generator = np.random.RandomState(seed)
    t, x = np.meshgrid(np.linspace(0, 1, TIMES), np.arange(CELLS) / CELLS, indexing="ij")
    points = np.stack([t.ravel(), x.ravel()], axis=1)
    parts = []
    for number, task in enumerate(tasks):
        c = number + generator.uniform(size=(count, 1))
        amplitudes = generator.normal(size=(count, 2))
        grid = 2 * np.pi * np.arange(CELLS) / CELLS
        start = 2.0 + amplitudes[:, :1] * np.sin(grid) + amplitudes[:, 1:] * np.cos(grid)
        fields = start[:, None] * (1.0 + c[:, :, None] * np.linspace(0, 1, TIMES)[:, None])
        inputs = {"coefficients": c, "initial": start}
        parts.append(OperatorData.of_task(task, inputs, points, fields.reshape(count, -1)))
    return OperatorData.join(*parts)


def masked(count: int = 10, seed: int = 0) -> OperatorData:
    """Fields on a 4 x 4 grid whose left half is outside for every second sample."""
    generator = np.random.RandomState(seed)
    line = (np.arange(4) + 0.5) / 4
    x, y = np.meshgrid(line, line, indexing="ij")
    geometry = np.ones((count, 4, 4), bool)
    geometry[::2, :2] = False
    k = generator.normal(size=(count, 4, 4))
    fields = np.where(geometry, 3.0 + k.mean(axis=(1, 2), keepdims=True) + x, 0.0)
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    flat = geometry.reshape(count, -1)
    return OperatorData.of_task("g", {"k": k, "geometry": geometry}, points, fields.reshape(count, -1), flat)


def network(data: OperatorData | None = None, **options: Any) -> OperatorNetwork:
    """A small network for `waves`, adapted to the data."""
    options = {"standardize": {"initial": "entry"}, "coefficients": ["coefficients"], **options}
    if options.pop("hard", True):
        options["initial_condition"] = PeriodicInitialCondition("initial")
    made = OperatorNetwork(
        options.pop("branch", None) or MLPBranch(["coefficients", "initial"], (8, 8)),
        options.pop("trunk", None) or PeriodicTrunk(waves=2, latent_dim=6, hidden_units=(8,)),
        {"coefficients": (1,), "initial": (CELLS,)},
        point_dim=2,
        **options,
    )
    made.adapt(waves() if data is None else data)
    return made


def masked_network(data: OperatorData, **options: Any) -> OperatorNetwork:
    """A small network for `masked`, adapted to the data."""
    from tfmtl.operators import ConvBranch

    made = OperatorNetwork(
        ConvBranch(["k"], "geometry", (3,), hidden_units=(5,)),
        MLPTrunk(6, (8,)),
        {"k": (4, 4), "geometry": (4, 4)},
        point_dim=2,
        standardize={"k": "field"},
        use_mask=True,
        **options,
    )
    made.adapt(data)
    return made


def compiled(made: OperatorNetwork, **options: Any) -> OperatorNetwork:
    """Compiled with Adam and the relative loss."""
    made.compile("adam", RelativeL2Loss(), **options)
    return made
