"""Runs `deploy-dynamodb.sh`."""

import subprocess
from pathlib import Path

from infrastructure.tools import SCRIPT


def deployment_environment(path: str, **settings: str) -> dict[str, str]:
    return {
        "PATH": f"{path}:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "AWS_EC2_METADATA_DISABLED": "true",
        "POLL_SECONDS": "0",
        **settings,
    }


def run_script(env: dict[str, str], cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(SCRIPT)], env=env, cwd=cwd, capture_output=True, text=True, check=False)
