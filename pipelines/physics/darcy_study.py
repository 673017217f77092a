"""The Darcy study: one network for several geometries compared with baselines, row by row."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial

from tfmtl.operators import OperatorData, OperatorNetwork, rehearse, train_only
from tfmtl.pipelines.physics import darcy
from tfmtl.pipelines.physics.networks import darcy_network
from tfmtl.pipelines.physics.study import (
    Clock,
    Field,
    Row,
    Setting,
    copy_of,
    first_of_each,
    measured,
    refitted,
    single_tasks,
    train,
    trained,
    trivial_rows,
)
from tfmtl.pipelines.physics.symmetric_images import symmetric_images

TRAINING, TEST = 600, 100  # samples of each source geometry
NEW_TRAINING, NEW_TEST = 100, 200  # of each geometry for transfer
CURVE = (25, 100, 400)
# The five layers that the official code trains: the first convolution, three of the branch's dense layers and the
# trunk's last; here the branch has one dense layer and the last one.
OFFICIAL = ("branch/convolution_0/*", "branch/layers/*", "last/*", "trunk/output/*")


class DarcyStudy:
    """Data, networks and rows of the table.

    Args:
        setting: `Setting` of one training.
        scale: float. Share of the usual numbers of samples, for a quick run. Defaults to `1.0`.
        curve: tuple of ints. Samples per task of the data-size curve. Defaults to `(25, 100, 400)`.
        cells: int. Cells of a side. Defaults to `32`.
    """

    equation = "-div(k grad u) = 1 inside, u = 0 on the border"

    def __init__(self, setting: Setting, scale: float = 1.0, curve: tuple[int, ...] = CURVE, cells: int = 32) -> None:
        self.setting = setting
        self._scale = scale
        self._curve = curve
        self._cells = cells
        self._make = partial(darcy_network, cells)

    def solver_error(self) -> float:
        """Relative error of the solver on the exact solution of the square, at this resolution."""
        return darcy.exact_error(self._cells)

    def _samples(self, names: tuple[str, ...], count: int, seed: int) -> OperatorData:
        number = max(10, round(count * self._scale))
        return OperatorData.join(*(darcy.samples(name, number, seed, self._cells) for name in names))

    @cached_property
    def train_data(self) -> OperatorData:
        """Samples of circle, square and triangle."""
        return self._samples(darcy.SOURCES, TRAINING, 0)

    @cached_property
    def test_data(self) -> OperatorData:
        """Samples of all five geometries."""
        sources = self._samples(darcy.SOURCES, TEST, 1)
        return OperatorData.join(sources, self._samples(darcy.TARGETS, NEW_TEST, 1))

    @cached_property
    def new_data(self) -> OperatorData:
        """Samples of cross and ell, for transfer."""
        return self._samples(darcy.TARGETS, NEW_TRAINING, 2)

    @cached_property
    def network(self) -> OperatorNetwork:
        """The multi-task network, trained."""
        network, self._clock = trained(self._make, self._sources, self.setting)
        return network

    @cached_property
    def _sources(self) -> OperatorData:
        return symmetric_images(self.train_data)

    def picture(self, values: Field) -> Field:
        """y upwards, x to the right."""
        return values.reshape(self._cells, self._cells).T

    def jobs(self) -> dict[str, Callable[[], list[Row]]]:
        """Name -> what computes the rows, in the order of the table."""
        setting, parts = self.setting, len(darcy.SOURCES)
        data = self._sources
        jobs: dict[str, Callable[[], list[Row]]] = {
            "trivial": self._trivial,
            "multi-task": lambda: [self._row("multi-task", self.network, self._clock, setting)],
            "single, same total steps": lambda: [
                self._single("single tasks, same total steps", data, setting.share(parts))
            ],
            "single, same steps each": lambda: [self._single("single tasks, same steps each", data, setting)],
            "without the mask in the branch": partial(
                self._variant, "without the mask in the branch", mask_in_branch=False
            ),
            "mask neither on the output nor in the loss": partial(
                self._variant, "mask neither on the output nor in the loss", use_mask=False
            ),
        }
        jobs["without the scale of k"] = partial(self._variant, "without the scale of k", scale=False)
        jobs |= {f"to {name}": partial(self._transfer, name) for name in darcy.TARGETS}
        jobs |= {f"{name} alone": partial(self._alone, name) for name in darcy.TARGETS}
        for count in self._curve:
            jobs[f"{count} samples a task"] = partial(self._few, count)
        return jobs

    def _trivial(self) -> list[Row]:
        known = OperatorData.join(self.train_data, self.new_data)
        return trivial_rows(known, self.test_data, like="log_k")

    def _row(
        self, name: str, network: OperatorNetwork, clock: Clock, setting: Setting, test: OperatorData | None = None
    ) -> Row:
        return measured(name, network, self.test_data if test is None else test, clock, setting.steps)

    def _single(self, name: str, data: OperatorData, setting: Setting) -> Row:
        return single_tasks(name, self._make, data, self.test_data, setting)

    def _variant(self, name: str, **options: bool) -> list[Row]:
        network, clock = trained(partial(self._make, **options), self._sources, self.setting)
        return [self._row(name, network, clock, self.setting)]

    def _few(self, count: int) -> list[Row]:
        data, parts = symmetric_images(first_of_each(self.train_data, count)), len(darcy.SOURCES)
        network, clock = trained(self._make, data, self.setting)
        return [
            self._row(f"{count} samples a task, multi-task", network, clock, self.setting),
            self._single(f"{count} samples a task, single tasks, same total steps", data, self.setting.share(parts)),
        ]

    def _transfer(self, target: str) -> list[Row]:
        samples, test = self.new_data.task(target), self.test_data
        data = symmetric_images(samples)
        # Its task only: after transfer to one geometry the other one says nothing new.
        kept = OperatorData.join(*(test.task(name) for name in (*darcy.SOURCES, target)))
        name = f"to {target} with {len(samples)} samples"
        short = self._short
        rows = []
        for how, (layers, mixed) in {
            "all layers": (("*",), data),
            "the official layers": (OFFICIAL, data),
            "all layers, 50 % source samples": (("*",), rehearse(data, self._sources, 0.5, self.setting.seed)),
        }.items():
            network = copy_of(self.network)
            train_only(network, layers)
            rows.append(self._row(f"{name}, {how}", network, train(network, mixed, short), short, kept))
        network = copy_of(self.network)
        clock = refitted(network, data)  # holds out every fifth: of a multiple of five, a sample with all its images
        one = replace(short, steps=1)
        rows.append(self._row(f"{name}, last branch layer by ridge regression", network, clock, one, kept))
        return rows

    @property
    def _short(self) -> Setting:
        return replace(self.setting.share(3), learning_rate=self.setting.learning_rate / 2.0)

    def _alone(self, target: str) -> list[Row]:
        data, test = symmetric_images(self.new_data.task(target)), self.test_data.task(target)
        rows = []
        for which, setting in (("same samples and steps", self._short), ("same samples, all steps", self.setting)):
            network, clock = trained(self._make, data, setting)
            rows.append(self._row(f"{target} alone, {which}", network, clock, setting, test))
        return rows
