"""Lays out servers of earlier commits, which tests start beside this one or before it.

They run on the installed packages of this checkout. A checkout without history, such as a shallow clone, does
not hold them: the tests that need one are left out, and the run names them at its end, in CI, too.
"""

import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from api_client import Api
from domain import LATER_DEFAULTS
from programs import program
from running import ROOT

OLDER = "6e9277b91a65c43a9401dce36352619ed1e907aa"
"""The commit of version 1.1 (tag v1.1.0), which runs beside this one during an upgrade."""
BEFORE_1_1 = "b15d4585330b0ef61a16253c1ac347591f9c2517"
"""The last commit before version 1.1. Its log rows do not name an entity's change before."""

BEFORE_1_5 = "a22593a5d0ca6d065dffbdb4c2df2195d3f32fd8"
"""The last commit before the fields of 1.5."""

LATER = {*LATER_DEFAULTS, "recurring_event_id", "original_date"}
"""The fields of events and departments that servers before 1.5 do not answer."""


class EarlierApi(Api):
    """A REST client that looks only at the fields that servers before 1.5 answer, too."""

    def __call__(self, *request: Any, **options: Any) -> Any:
        return as_before(super().__call__(*request, **options))


def as_before(answer: Any) -> Any:
    """Return an answer, or a part of one, without the fields that servers before 1.5 do not know."""
    if isinstance(answer, dict):
        return {name: as_before(value) for name, value in answer.items() if name not in LATER}
    return [as_before(value) for value in answer] if isinstance(answer, list) else answer


def lay_out(commit: str, folder: Path, part: str = "backend") -> Path:
    """Put the server of a commit into a folder, and return the folder: a `root` of `running_server`.

    Or put another `part` of the commit there.
    """
    archive = subprocess.run(
        [program("git"), "archive", "--format=tar", commit, part], cwd=ROOT, capture_output=True
    )
    if archive.returncode:
        # In CI a skip is a failure, and a checkout without history is none.
        leave_out = pytest.xfail if os.environ.get("CI") else pytest.skip
        leave_out(f"this checkout has no commit {commit}: git fetch --unshallow")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    (folder / "node_modules").symlink_to(ROOT / "node_modules")  # where the embedded engine is
    return folder
