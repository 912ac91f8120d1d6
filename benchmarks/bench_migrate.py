"""Compares the migration with a plain `put_item` loop, in one run on one embedded engine.

Prints events per second, the ratio, and the peak memory of a migration of many more events.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BACKEND = Path(__file__).resolve().parent.parent / "backend"
sys.path.insert(0, str(BACKEND))

import boto3  # noqa: E402 - after the path to our modules

from config import Settings  # noqa: E402
from domain import Event  # noqa: E402
from models import DynamoDBDatabase  # noqa: E402
from store import items, local_engine  # noqa: E402

DEPARTMENTS = 10
AT = "2024-01-15T10:30:00.000Z"


def departments() -> list[str]:
    dice = random.Random(1)
    return [_uuid(dice) for _ in range(DEPARTMENTS)]


def events(count: int) -> Iterator[Event]:
    dice, ids = random.Random(count), departments()
    for number in range(count):
        yield Event(
            id=_uuid(dice),
            department_id=ids[number % DEPARTMENTS],
            event_date=f"{dice.randint(2015, 2025)}-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d}",
            title=f"팀 회의 {number}",
            description="분기 실적 검토와 다음 분기 계획",
            time="오후 2:00",
            created_at=AT,
            last_modified=AT,
        )


def _uuid(dice: random.Random) -> str:
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


def write_files(directory: Path, count: int) -> None:
    rows = [{"id": i, "name": f"부서 {n}"} for n, i in enumerate(departments())]
    (directory / "departments.json").write_text(json.dumps(rows, ensure_ascii=False))
    with (directory / "calendar_events.json").open("w") as file:
        separator = "[\n"
        for event in events(count):
            file.write(separator + json.dumps(event.public(), ensure_ascii=False))
            separator = ",\n"
        file.write("\n]\n")


def settings(data_dir: Path, prefix: str) -> dict[str, str]:
    return {
        "DYNAMODB_ENDPOINT_URL": "embedded",
        "EMBEDDED_DATA_DIR": str(data_dir),
        **{f"{kind}_TABLE": f"{prefix}-{kind.lower()}" for kind in ("DEPARTMENTS", "EVENTS", "CHANGES")},
    }


def put_one_by_one(data_dir: Path, count: int) -> float:
    """Return the events per second of a plain script: one `put_item` after the other."""
    environment = settings(data_dir, "loop")
    DynamoDBDatabase(Settings.from_env(environment)).create_tables(report=lambda _line: None)
    client: Any = boto3.client(
        "dynamodb",
        endpoint_url=local_engine.acquire(data_dir).url,
        region_name="ap-northeast-2",
        aws_access_key_id="embedded",
        aws_secret_access_key="embedded",  # noqa: S106 - the embedded engine checks none
    )
    rows = list(events(count))
    started = time.perf_counter()
    for event in rows:
        client.put_item(TableName="loop-events", Item=items.entity_to_item(event))
    return count / (time.perf_counter() - started)


def migrate(data_dir: Path, files: Path, count: int) -> tuple[float, float, float]:
    """Run the command; return the events per second of the bulk load and of the whole, and its peak MB."""
    write_files(files, count)
    started = time.perf_counter()
    command = subprocess.Popen(
        [sys.executable, BACKEND / "migrate_to_dynamodb.py"],
        cwd=files,
        env=os.environ | settings(data_dir, f"bulk{count}"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None  # noqa: S101 - asked for above
    begun = ended = 0.0
    for line in command.stdout:
        if line.startswith("📅"):
            begun = time.perf_counter()
        elif line.startswith("✅ 이벤트"):
            ended = time.perf_counter()
    _, status, usage = os.wait4(command.pid, 0)
    command.returncode = os.waitstatus_to_exitcode(status)
    if command.returncode:
        sys.exit(f"the migration ended with status {command.returncode}")
    return count / (ended - begun), count / (time.perf_counter() - started), usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="for the comparison")
    parser.add_argument("--large", type=int, default=1_000_000, help="for the memory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data_dir, files = Path(folder, "data"), Path(folder)
        _share = local_engine.acquire(data_dir)  # keeps one engine running for all measurements
        loop = put_one_by_one(data_dir, options.events)
        print(f"put_item loop            {options.events:>9,} events  {loop:8,.0f}/s", flush=True)
        bulk, whole, memory = migrate(data_dir, files, options.events)
        print(f"migration, bulk path     {options.events:>9,} events  {bulk:8,.0f}/s  {bulk / loop:5.1f} x")
        print(f"  with reading, verifying{options.events:>9,} events  {whole:8,.0f}/s  {whole / loop:5.1f} x")
        print(f"  peak memory            {options.events:>9,} events  {memory:8,.0f} MB", flush=True)
        bulk, whole, memory = migrate(data_dir, files, options.large)
        print(f"migration, bulk path     {options.large:>9,} events  {bulk:8,.0f}/s")
        print(f"  with reading, verifying{options.large:>9,} events  {whole:8,.0f}/s")
        print(f"  peak memory            {options.large:>9,} events  {memory:8,.0f} MB")


if __name__ == "__main__":
    main()
