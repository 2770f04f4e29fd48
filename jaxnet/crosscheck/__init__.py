"""Whether two implementations agree: one comparator, derived bounds, a registry, a third opinion.

The only package that sees both `jaxnet` and `reference_numpy`. Nothing in the core imports it.
"""

from jaxnet.crosscheck.cases import CASES, Case
from jaxnet.crosscheck.comparison import Comparison, compare

__all__ = ["CASES", "Case", "Comparison", "compare"]
