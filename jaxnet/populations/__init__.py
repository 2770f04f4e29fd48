"""Populations of models: spaces of hyperparameters, their samplers, sweeps and searches."""

from jaxnet.populations import samplers, spaces
from jaxnet.populations.devices import use_all_cores
from jaxnet.populations.population import Part, Population, write_table
from jaxnet.populations.search import search
from jaxnet.populations.spaces import Space, read_space
from jaxnet.populations.sweep import Progress, sweep

__all__ = [
    "Part",
    "Population",
    "Progress",
    "Space",
    "read_space",
    "samplers",
    "search",
    "spaces",
    "sweep",
    "use_all_cores",
    "write_table",
]
