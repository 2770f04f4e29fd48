"""What comes out of a sweep: every member's parameters, history and score, and the table."""

import csv
import json
from collections.abc import Mapping, Sequence
from operator import index
from pathlib import Path
from typing import Any, NamedTuple, SupportsIndex

import jax
import numpy as np

from jaxnet.populations.hypers import row
from jaxnet.training import Run


class Part(NamedTuple):
    """Members that were trained by one program.

    members: their places in the population. runs: a Run of NumPy arrays with a leading axis over
    them.
    """

    members: np.ndarray
    runs: Run


class Population(NamedTuple):
    """Members trained by `sweep`, in the order of their hyperparameters.

    hypers: name ↦ (N,) as given. keys: (N,), what each member's randomness came from: member i is
    `make_train(build, …)(keys[i], hyper(i), data, dev)`. parts: the results, a part for each
    program. scores: (N,), lower is better, NaN for a member that met a number that is not finite;
    see `sweep`. finite: (N,), whether it met none.

    `params`, `state`, `opt_state`, `history`, `best_params` and `best_state` have a leading axis of
    N members; where programs differ in shapes there is no such array, and they raise ValueError.
    """

    hypers: dict[str, np.ndarray]
    keys: Any
    parts: tuple[Part, ...]
    scores: np.ndarray
    finite: np.ndarray

    @property
    def params(self) -> Any:
        return self._joined("params", lambda run: run.params)

    @property
    def state(self) -> Any:
        return self._joined("state", lambda run: run.state)

    @property
    def opt_state(self) -> Any:
        return self._joined("opt_state", lambda run: run.opt_state)

    @property
    def history(self) -> dict[str, np.ndarray]:
        return self._joined("history", lambda run: run.history)

    @property
    def best_params(self) -> Any:
        """Parameters of each member's best epoch by dev error; None without a dev set."""
        return self._joined("best_params", lambda run: run.best and run.best.params)

    @property
    def best_state(self) -> Any:
        return self._joined("best_state", lambda run: run.best and run.best.state)

    def _joined(self, name: str, of: Any) -> Any:
        trees = [of(part.runs) for part in self.parts]
        if len(trees) == 1:  # one program's members are all of them, in order
            return trees[0]
        kinds = {
            (jax.tree.structure(tree), *(leaf.shape[1:] for leaf in jax.tree.leaves(tree)))
            for tree in trees
        }
        if len(kinds) > 1:
            raise ValueError(
                f"{name}: {len(self.parts)} programs of different shapes, which no one array "
                f"holds; take member(i), or parts[g].runs"
            )
        back = np.argsort(np.concatenate([part.members for part in self.parts]))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[back], *trees)

    def hyper(self, member: SupportsIndex) -> dict[str, Any]:
        """One member's hyperparameters as plain numbers and words: what build takes."""
        return row(self.hypers, self._place(member))

    def _place(self, member: SupportsIndex) -> int:
        members, place = len(self.scores), index(member)
        if not 0 <= place < members:
            raise ValueError(f"member: expected 0 … {members - 1}, got {place}")
        return place

    def member(self, member: SupportsIndex) -> Run:
        """One member's Run: its last parameters and state for `fit(…, after=run)` to go on from."""
        place = self._place(member)
        for part in self.parts:
            found = np.flatnonzero(part.members == place)
            if found.size:
                return jax.tree.map(lambda leaf, at=found[0]: leaf[at], part.runs)
        raise AssertionError("every member is in a part")

    def order(self) -> np.ndarray:
        """Members by score, the best first; equal scores by cost; those not finite last."""
        return _order(self, self._measures())

    def best(self) -> int:
        """The member with the lowest score. Raises ValueError when none is finite."""
        first = int(self.order()[0])
        if not self.finite[first]:
            raise ValueError(
                f"best: every one of the {len(self.scores)} members met a number that is not "
                f"finite; try smaller learning rates"
            )
        return first

    def _measures(self) -> dict[str, np.ndarray]:
        parts = [_measures_of(part.runs) for part in self.parts]
        back = np.argsort(np.concatenate([part.members for part in self.parts]))
        return {
            name: np.concatenate([measures[name] for measures in parts])[back] for name in parts[0]
        }

    def table(self) -> list[dict[str, Any]]:
        """One row a member, the best first.

        rank (from 1), member, its hyperparameters, score, finite, cost (that of the best epoch;
        without a dev set the last epoch's), epochs; with a dev set also best_epoch (from 0) and
        the last epoch's dev_error and dev_cost.
        """
        measures = self._measures()
        return [
            {
                "rank": rank,
                "member": int(member),
                **self.hyper(member),
                "score": self.scores[member].item(),
                "finite": bool(self.finite[member]),
                **{name: column[member].item() for name, column in measures.items()},
            }
            for rank, member in enumerate(_order(self, measures), start=1)
        ]


def _order(population: Population, measures: Mapping[str, np.ndarray]) -> np.ndarray:
    worst_last = [np.nan_to_num(one, nan=np.inf) for one in (measures["cost"], population.scores)]
    return np.lexsort((*worst_last, ~population.finite))


def _measures_of(runs: Run) -> dict[str, np.ndarray]:
    """What the table says of each member beside its score."""
    members, epochs = runs.history["cost"].shape[:2]
    trained = np.full(members, epochs)
    if runs.best is None:
        return {"cost": last_cost(runs), "epochs": trained}
    return {
        "cost": np.asarray(runs.best.cost),
        "epochs": trained,
        "best_epoch": np.asarray(runs.best.epoch),
        "dev_error": runs.history["dev_error"][:, -1],
        "dev_cost": runs.history["dev_cost"][:, -1],
    }


def last_cost(runs: Run) -> np.ndarray:
    """Mean cost of the last epoch's mini-batches, (members,)."""
    return runs.history["cost"][:, -1].mean(axis=-1)


def judge(runs: Run) -> tuple[np.ndarray, np.ndarray]:
    """Scores (members,) of a part, NaN where not finite, and whether every number was finite."""
    members = len(runs.history["cost"])
    finite = np.ones(members, bool)
    for leaf in jax.tree.leaves((runs.params, runs.state, runs.history)):
        if leaf.dtype.kind == "f":
            finite &= np.isfinite(leaf).reshape(members, -1).all(axis=1)
    scores = last_cost(runs) if runs.best is None else runs.best.error
    return np.where(finite, scores, np.nan), finite


def assemble(columns: dict[str, np.ndarray], keys: Any, parts: tuple[Part, ...]) -> Population:
    """A population from its parts, judged."""
    members = len(next(iter(columns.values())))
    scores, finite = np.full(members, np.nan), np.zeros(members, bool)
    for part in parts:
        scores[part.members], finite[part.members] = judge(part.runs)
    return Population(columns, keys, parts, scores, finite)


def write_table(rows: Sequence[Mapping[str, Any]], directory: str | Path) -> tuple[Path, Path]:
    """A table as `table.csv` and `table.jsonl` (a JSON object a line, null for NaN) in a directory.

    Returns the two paths. Writes beside and renames, so that a reader never sees half a table.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    names = list(rows[0])
    files = directory / "table.csv", directory / "table.jsonl"
    beside = [file.with_suffix(file.suffix + ".tmp") for file in files]
    with beside[0].open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    with beside[1].open("w", encoding="utf-8") as file:
        for one in rows:
            plain = {
                name: None if isinstance(value, float) and not np.isfinite(value) else value
                for name, value in one.items()
            }
            file.write(json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n")
    for new, old in zip(beside, files, strict=True):
        new.replace(old)
    return files
