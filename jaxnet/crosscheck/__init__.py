"""Whether two implementations agree, and if not, which array, which step, and why.

The only package that sees both `jaxnet` and `reference_numpy`, and, inside functions, the other
frameworks. Nothing in the core imports it.
"""

from jaxnet.crosscheck.agreement import assert_agree, diagnose
from jaxnet.crosscheck.cases import CASES, Case
from jaxnet.crosscheck.comparison import Comparison, compare
from jaxnet.crosscheck.explain import explain
from jaxnet.crosscheck.findings import Diagnosis, Explanation
from jaxnet.crosscheck.lockstep import Divergence, Training, first_divergence
from jaxnet.crosscheck.translation import Translation, translate_optimizer

__all__ = [
    "CASES",
    "Case",
    "Comparison",
    "Diagnosis",
    "Divergence",
    "Explanation",
    "Training",
    "Translation",
    "assert_agree",
    "compare",
    "diagnose",
    "explain",
    "first_divergence",
    "translate_optimizer",
]
