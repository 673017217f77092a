"""What one network for plates with other numbers of holes is worth, row by row."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial

import numpy as np

from tfmtl.operators import OperatorData, OperatorNetwork, rehearse
from tfmtl.pipelines.physics import plate
from tfmtl.pipelines.physics.mirrored import mirrored
from tfmtl.pipelines.physics.networks import plate_network
from tfmtl.pipelines.physics.study import (
    Clock,
    Field,
    Row,
    Setting,
    copy_of,
    measured,
    single_tasks,
    train,
    trained,
    trivial_rows,
)

NEW = "9 holes"  # left out of the source training of the transfer rows
CURVE = (2, 3)  # places a number of holes


class PlateStudy:
    """Data, networks and rows of the table.

    Args:
        setting: `Setting` of one training.
        scale: float. Not used: nothing is drawn at random. Defaults to `1.0`.
        curve: tuple of ints. Places of the holes in training, of three. Defaults to `(2, 3)`.
        cells: three ints. Voxels. Defaults to `(48, 24, 6)`.
    """

    equation = "Laplace's equation, 1 on the holes' walls, 0 on the faces x and y = 0 and at their ends, insulated in z"

    def __init__(
        self,
        setting: Setting,
        scale: float = 1.0,
        curve: tuple[int, ...] = CURVE,
        cells: tuple[int, int, int] = plate.CELLS,
    ) -> None:
        del scale
        self.setting = setting
        self._curve = curve
        self._cells = cells
        self._make = partial(plate_network, cells)

    def solver_error(self) -> float:
        """Largest error of the solver for the linear profile between faces of 100 and 20."""
        return plate.exact_error(self._cells)

    @cached_property
    def train_data(self) -> OperatorData:
        """Three places of the holes for each number of them."""
        return plate.samples(self._cells, plate.TRAINING_PLACES)

    @cached_property
    def test_data(self) -> OperatorData:
        """The other five places."""
        return plate.samples(self._cells, tuple(sorted(set(range(8)) - set(plate.TRAINING_PLACES))))

    @cached_property
    def network(self) -> OperatorNetwork:
        """The multi-task network, trained."""
        network, self._clock = trained(self._make, self._with_images(self.train_data), self.setting)
        return network

    def _with_images(self, data: OperatorData) -> OperatorData:
        """Turned round along y as well, where place q of the holes becomes 1 - q of the scaled range."""
        return mirrored(data, self._cells, 1, {"design": _turned_design})

    def picture(self, values: Field) -> Field:
        """Half way up: y upwards, x to the right."""
        return values.reshape(self._cells)[:, :, self._cells[2] // 2].T

    def jobs(self) -> dict[str, Callable[[], list[Row]]]:
        """Name -> what computes the rows, in the order of the table."""
        setting, data = self.setting, self._with_images(self.train_data)
        parts = len(plate.HOLES)
        jobs: dict[str, Callable[[], list[Row]]] = {
            "trivial": lambda: trivial_rows(self.train_data, self.test_data, like="design"),
            "mean of all": self._mean_of_all,
            "multi-task": lambda: [self._row("multi-task", self.network, self._clock, setting)],
            "single, same total steps": lambda: [
                single_tasks("single tasks, same total steps", self._make, data, self.test_data, setting.share(parts))
            ],
            "geometry as an image": partial(self._variant, "geometry as an image", image=True),
            "mask neither on the output nor in the loss": partial(
                self._variant, "mask neither on the output nor in the loss", use_mask=False
            ),
            "without moving coordinates": partial(self._variant, "without moving coordinates", moving=False),
            "transfer": self._transfer,
        }
        for count in self._curve[:-1]:
            jobs[f"{count} places"] = partial(self._few, count)
        return jobs

    def _mean_of_all(self) -> list[Row]:
        data = OperatorData.of_task("all", self.train_data.inputs, self.train_data.points, self.train_data.targets)
        [mean, nearest] = trivial_rows(data, self.test_data, like="design")
        return [
            replace(mean, name="mean field of all training runs"),
            replace(nearest, name="nearest of all training runs"),
        ]

    def _row(self, name: str, network: OperatorNetwork, clock: Clock, setting: Setting) -> Row:
        return measured(name, network, self.test_data, clock, setting.steps)

    def _variant(self, name: str, **options: bool) -> list[Row]:
        network, clock = trained(partial(self._make, **options), self._with_images(self.train_data), self.setting)
        return [self._row(name, network, clock, self.setting)]

    def _few(self, count: int) -> list[Row]:
        places = plate.TRAINING_PLACES[:: len(plate.TRAINING_PLACES) - 1] if count == 2 else plate.TRAINING_PLACES
        data = self._with_images(plate.samples(self._cells, places))
        network, clock = trained(self._make, data, self.setting)
        return [self._row(f"{count} places a number of holes, multi-task", network, clock, self.setting)]

    def _transfer(self) -> list[Row]:
        data, test = self._with_images(self.train_data), self.test_data
        new = data.task(NEW)
        source = data.rows(np.flatnonzero(data.tasks != data.task_names.index(NEW)))
        short = self.setting.share(4)
        base, clock = trained(self._make, source, self.setting)
        rows = [self._row(f"trained without {NEW}", base, clock, self.setting)]
        for how, samples in {
            "all weights": new,
            "50 % source samples": rehearse(new, source, 0.5, self.setting.seed),
        }.items():
            network = copy_of(base)
            rows.append(
                self._row(f"to {NEW} with {len(new)} runs, {how}", network, train(network, samples, short), short)
            )
        alone, clock = trained(self._make, new, short)
        rows.append(measured(f"{NEW} alone, same runs and steps", alone, test.task(NEW), clock, short.steps))
        return rows


def _turned_design(design: Field) -> Field:
    return np.stack([design[:, 0], 1.0 - design[:, 1]], axis=1)
