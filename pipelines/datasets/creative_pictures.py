"""Banners of made-up ads: a shape somewhere on a plain ground, of which neither colors nor brightness say anything."""

import numpy as np

SHAPES = ("disc", "ring", "cross", "triangle")
SIZE = 24
_AREA = 90.0  # pixels of every shape, so that the mean of a picture does not tell which it is
_ROOM = 7.0  # from the middle of a shape to the border
_NOISE = 12.0  # standard deviation of a pixel


def draw_pictures(generator: np.random.Generator, shapes: np.ndarray) -> np.ndarray:
    """Pictures of `SIZE` x `SIZE` pixels in color, uint8 `(n, SIZE, SIZE, 3)`.

    Args:
        generator: of the random numbers.
        shapes: int `(n,)`, places in `SHAPES`.
    """
    number = len(shapes)
    middles = generator.uniform(_ROOM, SIZE - 1 - _ROOM, size=(2, number, 1, 1))
    y, x = np.indices((SIZE, SIZE))[:, np.newaxis] - middles  # (n, SIZE, SIZE) each
    inside = np.select([(shapes == place)[:, np.newaxis, np.newaxis] for place in range(len(SHAPES))], _masks(y, x))
    ground = generator.uniform(40.0, 215.0, size=(number, 1, 1, 3))
    # As far above as below the ground, so that a picture's brightness is that of its ground on average.
    step = generator.uniform(60.0, 110.0, size=(number, 1, 1, 3)) * generator.choice(
        [-1.0, 1.0], size=(number, 1, 1, 3)
    )
    step = np.where(np.abs(ground + step - 127.5) > 127.5, -step, step)
    noise = generator.normal(scale=_NOISE, size=(number, SIZE, SIZE, 3))
    drawn = np.round(ground + step * inside[..., np.newaxis] + noise)
    return np.asarray(np.clip(drawn, 0.0, 255.0), np.uint8)


def _masks(y: np.ndarray, x: np.ndarray) -> list[np.ndarray]:
    """Where each shape is, of the same area."""
    distance = np.hypot(y, x)
    radius = np.sqrt(_AREA / np.pi)
    hole = 3.4
    arm = 1.9  # half the width of a cross's arms
    length = (_AREA / (4.0 * arm) + arm) / 2.0
    base = np.sqrt(_AREA)  # a triangle of that height and twice as wide at its base is as large
    return [
        distance <= radius,
        (distance <= np.hypot(radius, hole)) & (distance > hole),
        ((np.abs(y) <= arm) & (np.abs(x) <= length)) | ((np.abs(x) <= arm) & (np.abs(y) <= length)),
        (y <= base / 2.0) & (np.abs(x) <= y + base / 2.0),
    ]
