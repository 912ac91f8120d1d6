"""What is shipped beside the server: the bundle of Elastic Beanstalk, and the systemd unit."""

import configparser
import subprocess
import sys
import zipfile
from pathlib import Path

from infrastructure.tools import INFRASTRUCTURE

UNIT = INFRASTRUCTURE / "ec2" / "department-calendar@.service"


class UnitFile(configparser.RawConfigParser):
    """A systemd unit, its option names as they are written."""

    def __init__(self) -> None:
        super().__init__(strict=False)
        self.read(UNIT)

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def unpacked_bundle(folder: Path) -> Path:
    target = folder / "calendar.zip"
    build_bundle(target)
    with zipfile.ZipFile(target) as packed:
        packed.extractall(folder / "unpacked")
    return folder / "unpacked"


def build_bundle(target: Path) -> None:
    subprocess.run([sys.executable, INFRASTRUCTURE / "build_bundle.py", target], check=True)
