"""The notes' equations as text, and the search for the change that explains a candidate."""

from jaxnet.crosscheck.equations.locate import follow, locate
from jaxnet.crosscheck.equations.text import Equations, equations, evaluate, iterate

__all__ = ["Equations", "equations", "evaluate", "follow", "iterate", "locate"]
