"""The systemd unit of EC2: valid, restarting, limited, and its logs are those that are shipped."""

import json
import runpy
import shlex
import subprocess
from pathlib import Path

from infrastructure.shipped import UNIT, UnitFile
from infrastructure.tools import (
    INFRASTRUCTURE,
    load_template,
    tool,
)
from running import ROOT


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    units = tmp_path / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    (units / UNIT.name).write_text(UNIT.read_text())
    # In this root systemd knows no other units than these.
    for known in ("sysinit", "basic", "shutdown", "network-online", "multi-user"):
        (units / f"{known}.target").write_text(f"[Unit]\nDescription={known}\nDefaultDependencies=no\n")
    program = tmp_path / shlex.split(UnitFile()["Service"]["ExecStart"])[0].lstrip("/")
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    manual = tmp_path / "opt" / "department-calendar" / "DYNAMODB_SETUP.md"
    manual.touch()
    command = [
        tool("systemd-analyze"),
        "verify",
        "--man=no",
        f"--root={tmp_path}",
        "department-calendar@1.service",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    about_it = [line for line in done.stderr.splitlines() if "department-calendar" in line]
    assert (done.returncode, about_it) == (0, [])
    (units / UNIT.name).write_text(UNIT.read_text().replace("MemoryMax=1G", "MemoryMax=much"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Invalid memory limit 'much'" in done.stderr


def test_the_unit_restarts_and_limits() -> None:
    unit = UnitFile()
    service = unit["Service"]
    assert service["Restart"] == "always"
    for limit in ("LimitNOFILE", "MemoryMax", "TasksMax", "TimeoutStopSec", "RestartSec"):
        assert service[limit]
    settings = runpy.run_path(str(ROOT / "backend" / "gunicorn.conf.py"))
    assert int(service["LimitNOFILE"]) > settings["worker_connections"] * 2
    assert int(service["TimeoutStopSec"]) > settings["graceful_timeout"]


def test_the_logs_that_are_shipped_are_those_that_are_written() -> None:
    agent = json.loads((INFRASTRUCTURE / "ec2" / "amazon-cloudwatch-agent.json").read_text())
    files = agent["logs"]["logs_collected"]["files"]["collect_list"]
    written = UnitFile()["Service"]["StandardOutput"].removeprefix("append:")
    assert written.replace("%i", "*") in [file["file_path"] for file in files]
    rotated = (INFRASTRUCTURE / "ec2" / "department-calendar.logrotate").read_text()
    assert f"{Path(written).parent}/*.log {{" in rotated
    template = load_template()
    name = template["Resources"]["ServerLogGroup"]["Properties"]["LogGroupName"]["Fn::Sub"]
    for parameter in ("Service", "Environment"):
        name = name.replace(f"${{{parameter}}}", template["Parameters"][parameter]["Default"])
    assert {file["log_group_name"] for file in files} == {name}
