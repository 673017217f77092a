"""Random smooth fields."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def gaussian_fields(
    count: int, cells: Sequence[int], box: Sequence[float], length: float, generator: np.random.RandomState
) -> Floats:
    """Periodic Gaussian fields of mean 0 and variance 1, correlated over `length`.

    White noise whose Fourier amplitudes are multiplied by `exp(-|k|^2 length^2 / 4)`, `k` = 2 pi times whole numbers
    over the box; in a large box the correlation at distance r is `exp(-r^2 / (2 length^2))`.

    Shapes: N fields, d axes.

    Args:
        count: int. Number of fields N.
        cells: d ints. Cells along each axis.
        box: d floats. Length of each axis, in the unit of `length`.
        length: float. Correlation length.
        generator: where the noise comes from.

    Returns:
        float64 `(N, *cells)`.
    """
    axes = tuple(range(1, len(cells) + 1))
    waves = [2.0 * np.pi * np.fft.fftfreq(n, d=side / n) for n, side in zip(cells, box, strict=True)]
    square = sum(wave**2 for wave in np.meshgrid(*waves, indexing="ij"))
    amplitudes = np.exp(-0.25 * length**2 * square)
    amplitudes *= np.sqrt(amplitudes.size / np.sum(amplitudes**2))  # variance 1
    noise = generator.normal(size=(count, *cells))
    return np.fft.ifftn(np.fft.fftn(noise, axes=axes) * amplitudes, axes=axes).real
