"""The directory of a sweep: which one it holds, so that none is mixed with or lost to another."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jaxnet.cli.terminal import Mistake

MANIFEST = "sweep.json"


def claim(out: Path, request: Mapping[str, Any], *, resume: bool) -> bool:
    """Make the directory and note in it which sweep it holds.

    Returns whether it held this one already. Raises Mistake, and changes nothing, where it holds
    another sweep (naming what differs), this one without `resume`, or something else.
    """
    manifest, beside = out / MANIFEST, out / f"{MANIFEST}.tmp"
    wanted = json.loads(json.dumps(dict(request) | {"jax": version("jax")}))
    try:
        if out.exists() and not out.is_dir():
            raise Mistake(f"--out {out}: is a file; give a directory")
        if manifest.exists():
            differing = _differences(json.loads(manifest.read_text(encoding="utf-8")), wanted)
            if differing:
                raise Mistake(
                    f"--out {out}: holds another sweep; give another directory. It differs in "
                    + "; ".join(differing)
                )
            if not resume:
                raise Mistake(
                    f"--out {out}: holds this very sweep; go on with it by --resume, or give "
                    f"another directory"
                )
            return True
        if out.is_dir() and any(path != beside for path in out.iterdir()):
            raise Mistake(f"--out {out}: is not empty and holds no sweep; give another directory")
        out.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
        beside.replace(manifest)
        return False
    except OSError as error:
        raise Mistake(f"--out {out}: {error.strerror}") from error
    except ValueError as error:
        raise Mistake(f"--out {out}: {manifest} cannot be read ({error})") from error


def _differences(there: Any, now: Mapping[str, Any]) -> list[str]:
    """What differs between two requests, hyperparameters of their spaces one by one."""

    def flat(request):
        space = {f"space.{name}": value for name, value in request["space"].items()}
        return {name: value for name, value in request.items() if name != "space"} | space

    if not isinstance(there, dict) or not isinstance(there.get("space"), dict):
        raise ValueError("it is no sweep's")
    there, now = flat(there), flat(now)
    return [
        f"{name} ({there.get(name, 'nothing')} there, {now.get(name, 'nothing')} now)"
        for name in dict.fromkeys([*there, *now])
        if there.get(name) != now.get(name)
    ]
