"""Why two results differ: hypotheses from the surroundings, each of them tested."""

from jaxnet.crosscheck.explain.ranking import explain

__all__ = ["explain"]
