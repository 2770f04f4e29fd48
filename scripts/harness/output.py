"""Writing results: atomically, and never over a file that an experiment did not write."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MANIFEST = ".reproduce-manifest"


class OutputError(ValueError):
    """The output directory cannot be used; the message says why and what to do."""


def claim_directory(out: Path, planned: Iterable[str]) -> None:
    """Make `out` ready for the planned files, given relative to it, or raise OutputError.

    The names of all files that were ever planned lie in a manifest inside the directory. A
    directory with files but without the manifest is somebody else's, and so is a planned file
    that exists without being in the manifest; neither is touched.
    """
    manifest = out / MANIFEST
    planned = list(planned)
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not manifest.is_file() and any(out.iterdir()):
            raise OutputError(
                f"--out: {out} is not empty and holds no results of this command; "
                "choose a new or an empty directory"
            )
        owned = set(manifest.read_text().splitlines()) if manifest.is_file() else set()
        for name in planned:
            folder = (out / name).parent
            if os.path.lexists(folder) and not folder.is_dir():
                raise OutputError(
                    f"--out: {folder} is a file where a folder is needed; "
                    "move it away or choose another directory"
                )
            if os.path.lexists(out / name) and name not in owned:
                raise OutputError(
                    f"--out: {out / name} was not written by this command; "
                    "move it away or choose another directory"
                )
        # Appending, so that two runs in one directory do not lose each other's names.
        with manifest.open("a") as lines:
            lines.writelines(f"{name}\n" for name in planned if name not in owned)
    except OSError as error:
        raise OutputError(
            f"--out: cannot write to {out} ({error.strerror}); choose another directory"
        ) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a temporary file beside it, then a rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write strict JSON (NaN and infinities raise ValueError), readable by people."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, f"{text}\n".encode())
