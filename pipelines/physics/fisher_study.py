"""What one network for a family of reactions is worth, row by row."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from tfmtl.operators import OperatorData, OperatorNetwork, rehearse
from tfmtl.pipelines.physics import fisher
from tfmtl.pipelines.physics.networks import fisher_network
from tfmtl.pipelines.physics.study import (
    Clock,
    Field,
    Row,
    Setting,
    by_task,
    copy_of,
    first_of_each,
    measured,
    refitted,
    single_tasks,
    train,
    trained,
    trivial_rows,
)

TRAINING = {"F1": 400, "F2": 400, "F4": 800}
TEST = {"F1": 100, "F2": 100, "F3": 100, "F4": 200}
NEW_FORM, NEW_SAMPLES = "F3", 50
CURVE = (25, 100, 400)


class FisherStudy:
    """Data, networks and rows of the table.

    Args:
        setting: `Setting` of one training.
        scale: float. Share of the usual numbers of samples, for a quick run. Defaults to `1.0`.
        curve: tuple of ints. Samples per task of the data-size curve. Defaults to `(25, 100, 400)`.
    """

    solver_error = staticmethod(fisher.exact_error)
    equation = "u_t = 0.01 u_xx + 5 (c1 u + c2 u^2 + c3 u^3 + c4 u^4), x periodic"

    def __init__(self, setting: Setting, scale: float = 1.0, curve: tuple[int, ...] = CURVE) -> None:
        self.setting = setting
        self._curve = curve
        self._scale = scale

    def _samples(self, counts: dict[str, int], seed: int) -> OperatorData:
        made = [fisher.samples(form, max(10, round(count * self._scale)), seed) for form, count in counts.items()]
        return OperatorData.join(*made)

    @cached_property
    def train_data(self) -> OperatorData:
        """Samples of F1, F2 and F4."""
        return self._samples(TRAINING, 0)

    @cached_property
    def test_data(self) -> OperatorData:
        """Samples of all four forms."""
        return self._samples(TEST, 1)

    @cached_property
    def new_data(self) -> OperatorData:
        """A few samples of F3, for transfer."""
        return self._samples({NEW_FORM: NEW_SAMPLES}, 2)

    @cached_property
    def network(self) -> OperatorNetwork:
        """The multi-task network, trained."""
        network, self._clock = trained(fisher_network, self.train_data, self.setting)
        return network

    def picture(self, values: Field) -> Field:
        """Times upwards, x to the right."""
        return values.reshape(fisher.TIMES, fisher.CELLS)

    def jobs(self) -> dict[str, Callable[[], list[Row]]]:
        """Name -> what computes the rows, in the order of the table."""
        setting, data, parts = self.setting, self.train_data, len(TRAINING)
        jobs: dict[str, Callable[[], list[Row]]] = {
            "trivial": self._trivial,
            "multi-task": lambda: [self._row("multi-task", self.network, self._clock, setting)],
            "single, same total steps": lambda: [
                self._single("single tasks, same total steps", data, setting.share(parts))
            ],
            "single, same steps each": lambda: [self._single("single tasks, same steps each", data, setting)],
            "without coefficients": partial(self._variant, "without coefficients", use_coefficients=False),
            "POD trunk": partial(self._variant, "POD trunk", trunk="pod", latent_dim=min(100, len(data))),
            "hypernetwork": partial(self._variant, "hypernetwork over coefficients", hypernetwork=True),
            "transfer": self._transfer,
        }
        for count in self._curve:
            jobs[f"{count} samples a task"] = partial(self._few, count)
        return jobs

    def _trivial(self) -> list[Row]:
        start = np.tile(self.test_data.inputs["initial"], (1, fisher.TIMES))
        return [Row("u(t) = u0", by_task(self.test_data, start)), *trivial_rows(self.train_data, self.test_data)]

    def _row(self, name: str, network: OperatorNetwork, clock: Clock, setting: Setting) -> Row:
        return measured(name, network, self.test_data, clock, setting.steps)

    def _single(self, name: str, data: OperatorData, setting: Setting) -> Row:
        return single_tasks(name, fisher_network, data, self.test_data, setting)

    def _variant(self, name: str, **options: Any) -> list[Row]:
        network, clock = trained(partial(fisher_network, **options), self.train_data, self.setting)
        return [self._row(name, network, clock, self.setting)]

    def _few(self, count: int) -> list[Row]:
        data, parts = first_of_each(self.train_data, count), len(TRAINING)
        network, clock = trained(fisher_network, data, self.setting)
        return [
            self._row(f"{count} samples a task, multi-task", network, clock, self.setting),
            self._single(f"{count} samples a task, single tasks, same total steps", data, self.setting.share(parts)),
        ]

    def _transfer(self) -> list[Row]:
        name = f"to F3 with {len(self.new_data)} samples"
        short = replace(self.setting.share(10), learning_rate=self.setting.learning_rate / 4.0)
        rows = []
        for how, data in {
            "all weights": self.new_data,
            "all weights, 10 % source samples": rehearse(self.new_data, self.train_data, 0.1, self.setting.seed),
            "all weights, 50 % source samples": rehearse(self.new_data, self.train_data, 0.5, self.setting.seed),
        }.items():
            network = copy_of(self.network)
            rows.append(self._row(f"{name}, {how}", network, train(network, data, short), short))
        network = copy_of(self.network)
        clock = refitted(network, self.new_data)
        rows.append(
            self._row(f"{name}, last branch layer by ridge regression", network, clock, replace(short, steps=1))
        )
        alone, clock = trained(fisher_network, self.new_data, short)
        rows.append(self._row("F3 alone, same samples and steps", alone, clock, short))
        alone, clock = trained(fisher_network, self.new_data, self.setting)
        rows.append(self._row("F3 alone, same samples, all steps", alone, clock, self.setting))
        return rows
