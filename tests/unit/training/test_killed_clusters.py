"""A run of several processes that is killed and started again goes on from its last epoch."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.support.forked_run import said
from tests.support.fresh_process import run_fresh
from tfmtl.data import PreparedData

KILLED = -signal.SIGKILL

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def output(plain_data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed_clusters")
    run_fresh(Path(__file__).with_name("killed_clusters.py"), plain_data.directory, folder)
    return folder


def test_every_attempt_but_the_last_was_killed(output: Path) -> None:
    ends = json.loads((output / "ends.json").read_text())
    assert ends["whole"] == [[0, 0]], (output / "whole.txt").read_text()[-4000:]
    assert [KILLED in ends["killed"][number] for number in range(3)] == [True] * 3
    assert ends["killed"][3:] == [[0, 0], [0, 0]], (output / "killed.txt").read_text()[-4000:]
    assert [statuses[0] for statuses in ends["served"]] == [KILLED, 0], (output / "served.txt").read_text()[-4000:]


def test_it_goes_on_after_the_last_whole_epoch(output: Path) -> None:
    assert said(output, "whole") == []
    resumed = [f"Resumed at epoch {epoch}, step 0 of 6." for epoch in (2, 3, 4)]
    killed = said(output, "killed")
    assert killed[:3] == resumed
    assert [line.partition(":")[0] for line in killed[3:]] == ["Nothing to do"], "every process sees that it is done"
    assert said(output, "served") == [resumed[1]]


def test_workers_end_with_the_bits_of_a_run_that_was_never_killed(output: Path) -> None:
    whole, killed = np.load(output / "whole.npz"), np.load(output / "killed.npz")
    assert whole.files == killed.files
    for name in whole.files:
        np.testing.assert_array_equal(killed[name], whole[name], err_msg=name)
    histories = [(output / name / "history.csv").read_bytes() for name in ("whole", "killed")]
    assert histories[0] == histories[1]
    assert len(histories[0].splitlines()) == 5


def test_a_served_run_counts_every_epoch_once(output: Path) -> None:
    record = json.loads((output / "served" / "run.json").read_text())
    assert [len(values) for values in record["history"].values()] == [4] * len(record["history"])
    assert not list((output / "served").glob("unfinished_*"))
