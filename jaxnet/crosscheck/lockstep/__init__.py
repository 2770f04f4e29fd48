"""Two trainings in lockstep: where they first differ, and why."""

from jaxnet.crosscheck.lockstep.divergence import Divergence, Margin
from jaxnet.crosscheck.lockstep.first import first_divergence
from jaxnet.crosscheck.lockstep.training import Training, records

__all__ = ["Divergence", "Margin", "Training", "first_divergence", "records"]
