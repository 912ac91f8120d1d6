"""Starts and shares the embedded DynamoDB engine of a data directory.

The engine outlives each server, so a small process of its own starts it: `engine_supervisor`. When files of
the store are deleted under the engine, `Engine` refuses writes, and starts no engine on what is left.
"""

import fcntl
import logging
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from deadlines import acquire_in_time
from errors import OutOfTime, SetupError, StoreUnavailable
from store.engine_files import (
    FAILURE_FILE,
    LOCK_PATIENCE_S,
    OUTPUT_FILE,
    POLL_S,
    START_TIMEOUT_S,
    STORE_FILE,
    USERS_LOCK,
    Address,
    file_id,
    open_directory,
    open_lock,
    try_lock,
    wait_until,
)
from store.engine_supervisor import ENGINE_BINARY

log = logging.getLogger(__name__)

BACKEND_DIR = Path(__file__).resolve().parents[1]
REVIVE_TIMEOUT_S = 5.0


class EngineUnavailable(SetupError):
    """The engine could not be started; the text says why and where its log is."""


class Engine:
    """The engine of a data directory, kept running until this process ends."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            self._users = open_lock(self._data_dir / USERS_LOCK)
        except OSError as error:
            raise EngineUnavailable(f"EMBEDDED_DATA_DIR={data_dir} 폴더에 쓸 수 없습니다: {error}") from error
        self._reviving = threading.Lock()
        self._loss_logged = False
        self.address = self._join(START_TIMEOUT_S)
        """Of the engine that ran last. Changes only in `revive`."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.address.port}"

    def revive(self) -> bool:
        """Find the engine again, or start it again, if it died; return whether its port has changed.

        Raises `EngineUnavailable`, `OutOfTime`, and `StoreUnavailable` if the store was deleted: a new engine
        would begin an empty one, or one without the last writes.
        """
        if not acquire_in_time(self._reviving):
            raise OutOfTime()
        try:
            if self.address.has_engine():
                return False
            self._refuse_loss(self.address.lost_store(self._data_dir))
            before = self.address.port
            try:
                self.address = self._join(REVIVE_TIMEOUT_S, after=self.address)
            except OSError as error:
                raise EngineUnavailable(f"{self._data_dir} 폴더에 쓸 수 없습니다: {error}") from error
            return self.address.port != before
        finally:
            self._reviving.release()

    def require_files(self, *, answered: bool = False) -> None:
        """Raise `StoreUnavailable` if a file of the store was deleted or replaced.

        The engine still has the old one open. What it writes there is lost when it ends. `answered` says that
        it has just answered a write, which must not be acknowledged in case of doubt.
        """
        address = self.address
        lost = address.lost_file(self._data_dir)
        if lost and lost.name != STORE_FILE and not address.has_engine():
            # An engine that ends in order deletes these itself; a request will start the next one.
            if answered:
                raise StoreUnavailable()
            lost = address.lost_store(self._data_dir)
        self._refuse_loss(lost)

    def _refuse_loss(self, lost: Path | None) -> None:
        if lost and not self._loss_logged:
            log.error(
                "내장 저장소의 파일이 쓰는 동안 지워졌거나 다른 파일로 바뀌었습니다: %s\n"
                "  → 여기에 쓰면 사라지므로 쓰기를 모두 거절하고, 읽기만 계속합니다.\n"
                "  → 파일을 옮겼다면 제자리에 되돌리세요. 지웠다면 이 폴더를 쓰는 서버를 모두 끝내고, "
                "백업한 파일을 두고 다시 실행하세요. 백업이 없으면 빈 저장소로 시작합니다.",
                lost,
            )
        self._loss_logged = lost is not None
        if lost:
            raise StoreUnavailable("저장소의 파일이 지워져 저장할 수 없습니다. 서버 운영자에게 알리세요.")

    def _join(self, timeout: float, after: Address | None = None) -> Address:
        """Return the address of the living engine; start a supervisor if none lives.

        `after`: of the engine known so far, which must have left all of its store.
        """
        (self._data_dir / FAILURE_FILE).unlink(missing_ok=True)
        ends_at = time.monotonic() + timeout
        while time.monotonic() < ends_at:
            if reason := self._failure():
                raise EngineUnavailable(
                    f"내장 저장소를 열 수 없습니다: {self._data_dir / STORE_FILE}\n{reason}"
                )
            # A supervisor that shuts down holds the lock: a new one must wait until it has ended.
            if self._hold_users_lock():
                if not self._supervisor_lives():
                    if after:  # the supervisor has noted a loss before it ended
                        self._refuse_loss(after.lost_store(self._data_dir))
                    self._start_supervisor()
                elif (address := Address.find(self._data_dir)) and _is_reached(address):
                    return address
            time.sleep(POLL_S / 10)
        raise EngineUnavailable(f"내장 저장소를 시작하지 못했습니다. 기록: {self._data_dir / OUTPUT_FILE}")

    def _hold_users_lock(self) -> bool:
        """Hold the lock file that a new supervisor will see: the one held so far may have been deleted."""
        path = self._data_dir / USERS_LOCK
        if file_id(path) != file_id(self._users):
            os.close(self._users)
            self._users = open_lock(path)
        return try_lock(self._users, fcntl.LOCK_SH)

    def _supervisor_lives(self) -> bool:
        directory = open_directory(self._data_dir)
        try:
            return not try_lock(directory, fcntl.LOCK_SH)
        finally:
            os.close(directory)

    def _start_supervisor(self) -> None:
        with (self._data_dir / OUTPUT_FILE).open("ab") as output:
            subprocess.run(  # noqa: S603 - our own interpreter and file
                [sys.executable, "-m", "store.engine_supervisor", str(self._data_dir)],
                cwd=BACKEND_DIR,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,  # returns at once: the supervisor detaches itself, or is started again
            )
        wait_until(self._supervisor_lives, LOCK_PATIENCE_S)

    def _failure(self) -> str:
        try:
            return (self._data_dir / FAILURE_FILE).read_text()
        except FileNotFoundError:
            return ""


def acquire(data_dir: Path) -> Engine:
    """Start the engine on `data_dir` if it does not run, and return it. Raises `EngineUnavailable`."""
    if not ENGINE_BINARY.exists() and find_spec("moto") is None:
        raise EngineUnavailable("이 컴퓨터용 내장 엔진도 moto도 없습니다. 먼저 make install을 실행하세요.")
    return Engine(data_dir)


def describe(data_dir: Path) -> str:
    """Return in Korean which store a data directory has; warn if it is moto, which keeps nothing."""
    if ENGINE_BINARY.exists():
        return f"내장 저장소, {data_dir}"
    return "moto 임시 저장소 (이 컴퓨터용 내장 엔진이 없어, 끝내면 데이터가 모두 사라집니다!)"


def is_used(data_dir: Path) -> bool:
    """Return whether the embedded store of `data_dir` holds any item, without starting the engine.

    A store that cannot be read, such as a damaged one, counts as used; one with empty tables does not.
    """
    store = data_dir / STORE_FILE
    if not store.exists():
        return False
    try:
        # Opened for writing, though nothing is written: a read-only connection would leave SQLite's -wal and
        # -shm files behind, owned by this user, who need not be the engine's.
        with closing(sqlite3.connect(f"{store.resolve().as_uri()}?mode=rw", uri=True)) as db:
            tables = [str(name) for (name,) in db.execute("SELECT table_name FROM _tables")]
            return any(db.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone() for name in tables)  # noqa: S608
    except sqlite3.Error:
        return True


def _is_reached(address: Address) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return address.has_engine() and probe.connect_ex(("127.0.0.1", address.port)) == 0
