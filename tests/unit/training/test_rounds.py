"""A run's steps in rounds: every step once, in order, whatever the lengths."""

import pytest

from tfmtl.training.rounds import Rounds


@pytest.mark.parametrize("every", [None, 0.25, 0.3, 1.0, 1, 2, 7, 13, 1000])
def test_rounds_cover_every_step_of_every_epoch_once(every: float | None) -> None:
    rounds = Rounds(steps=10, epochs=3, every=every)
    short = rounds.short_rounds(0, 0)
    places = [
        rounds.place(number, step)
        for number in range(rounds.number)
        for step in range(short.get(number, rounds.length))
    ]
    assert places == [(epoch, step) for epoch in range(3) for step in range(10)]
    assert all(0 < steps < rounds.length for steps in short.values())


def test_lengths() -> None:
    assert Rounds(10, 3).length == 10
    assert Rounds(10, 3, 0.25).length == 2
    assert Rounds(10, 3, 0.01).length == 1
    assert Rounds(10, 3, 7).length == 7
    assert Rounds(10, 3, 1000).length == 30
    assert [Rounds(10, 3, 7).shown(number) for number in range(5)] == ["0.70", "1.40", "2.10", "2.80", "3"]


def test_a_round_that_was_cut_off_is_shorter() -> None:
    assert Rounds(10, 3).short_rounds(1, 4) == {1: 6}
    assert Rounds(10, 3, 7).short_rounds(4, 1) == {4: 1}
    assert Rounds(10, 3, 7).short_rounds(2, 5) == {2: 2, 4: 2}
