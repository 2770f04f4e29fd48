"""The temperatures of the notes' example: a year of them, from Seattle instead of London."""

from pathlib import Path

import numpy as np


def daily_maxima() -> np.ndarray:
    """Highest temperature of each day of 2015 in °C, (365,); source and licence are in the file.

    >>> daily_maxima().shape
    (365,)
    """
    path = Path(__file__).with_name("seattle_temperatures.csv")
    return np.loadtxt(path, delimiter=",", comments="#", skiprows=5, usecols=1)
