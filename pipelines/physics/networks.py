"""The networks of the three problems."""

from collections.abc import Sequence

import keras
import numpy as np

from tfmtl.operators import (
    ConvBranch,
    HyperBranch,
    InverseScale,
    MLPBranch,
    MLPTrunk,
    OperatorNetwork,
    PeriodicInitialCondition,
    PeriodicTrunk,
    PODTrunk,
    StretchedCoordinate,
)
from tfmtl.pipelines.physics import fisher, plate

_WIDTH, _LATENT = 128, 100


def fisher_network(
    use_coefficients: bool = True,
    trunk: str = "periodic",
    hypernetwork: bool = False,
    hard_start: bool = True,
    latent_dim: int = _LATENT,
    output_activation: str | None = None,
) -> OperatorNetwork:
    """Coefficients and start, side by side, to u at (t, x).

    Args:
        use_coefficients: bool. Whether the branch reads the coefficients of the reaction. Defaults to `True`.
        trunk: str. `"periodic"`, `"mlp"` or `"pod"`. Defaults to `"periodic"`.
        hypernetwork: bool. Whether the coefficients set the layers that read the start. Defaults to `False`.
        hard_start: bool. Whether u is the start at t = 0 by construction; not with POD. Defaults to `True`.
        latent_dim: int. Number of functions of the trunk. Defaults to `100`.
        output_activation: str or None. Behind the last layer of a learned trunk. Defaults to `None`.
    """
    hidden = (_WIDTH, _WIDTH)
    names = ["coefficients", "initial"] if use_coefficients else ["initial"]
    branch = HyperBranch(["initial"], "coefficients", hidden) if hypernetwork else MLPBranch(names, hidden)
    layers = (_WIDTH,) * 3
    functions: keras.layers.Layer = PeriodicTrunk(
        latent_dim=latent_dim, hidden_units=layers, output_activation=output_activation
    )
    if trunk == "mlp":
        functions = MLPTrunk(latent_dim, layers, output_activation=output_activation)
    elif trunk == "pod":
        times, places = np.linspace(0.0, fisher.HORIZON, fisher.TIMES), np.arange(fisher.CELLS) / fisher.CELLS
        functions = PODTrunk([times.tolist(), places.tolist()], latent_dim)
    return OperatorNetwork(
        branch,
        functions,
        {"coefficients": (4,), "initial": (fisher.CELLS,)},
        point_dim=2,
        standardize={"initial": "entry"},
        coefficients=["coefficients"],
        initial_condition=PeriodicInitialCondition("initial") if hard_start and trunk != "pod" else None,
        name="fisher",
    )


def darcy_network(
    cells: int, mask_in_branch: bool = True, use_mask: bool = True, scale: bool = True
) -> OperatorNetwork:
    """log k and the geometry, as images, to u at (x, y).

    Args:
        cells: int. Cells of a side.
        mask_in_branch: bool. Whether the branch sees the geometry. Defaults to `True`.
        use_mask: bool. Whether the answer is multiplied by the mask. Defaults to `True`.
        scale: bool. Whether half of k gives twice the answer by construction. Defaults to `True`.
    """
    return OperatorNetwork(
        ConvBranch(["log_k"], "geometry" if mask_in_branch else None),
        PeriodicTrunk((0, 1), (2.0, 2.0), 4, _LATENT, (_WIDTH,) * 3),
        {"log_k": (cells, cells), "geometry": (cells, cells)},
        point_dim=2,
        standardize={"log_k": "field"},
        use_mask=use_mask,
        scale=InverseScale("log_k", "geometry" if mask_in_branch else None) if scale else None,
        name="darcy",
    )


def plate_network(
    cells: Sequence[int], image: bool = False, use_mask: bool = True, moving: bool = True
) -> OperatorNetwork:
    """Number and place of the holes, or the solid seen from above, to the temperature at (x, y, z).

    Args:
        cells: three ints. Voxels.
        image: bool. Whether the branch sees the solid as an image, rather than two numbers. Defaults to `False`.
        use_mask: bool. Whether the answer is multiplied by the mask. Defaults to `True`.
        moving: bool. Whether the trunk reads y in coordinates in which the row of holes lies in the middle. Not done
            with the image, which has to say everything by itself. Defaults to `True`.
    """
    ends = (float(plate.PLACES[0]), float(plate.PLACES[-1]))
    design = MLPBranch(["design"], (64, 64))
    return OperatorNetwork(
        ConvBranch(["geometry"], None, (8, 16, 32), 3, (64,)) if image else design,
        PeriodicTrunk((0, 1), (2.0 * plate.SIZE[0], 2.0 * plate.SIZE[1]), 6, _LATENT, (_WIDTH,) * 3),
        {"design": (2,), "geometry": tuple(cells[:2])},
        point_dim=3,
        coefficients=["design"],
        use_mask=use_mask,
        coordinates=StretchedCoordinate("design", 1, 1, plate.SIZE[1], ends) if moving and not image else None,
        name="plate",
    )
