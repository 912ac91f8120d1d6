"""Starts, shares and stops the embedded DynamoDB engine of a data directory.

The engine outlives each server, so a small *supervisor* process starts it. File locks show which processes
live, because the kernel frees the locks of a process that ends, even by `kill -9`: every process that uses
the engine holds `clients.lock` shared, the supervisor holds `engine.lock`. The supervisor restarts an engine
that dies, and stops the engine once nobody holds `clients.lock`. When the supervisor is killed, Linux kills
its engine.
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from errors import SetupError

BACKEND_DIR = Path(__file__).resolve().parents[1]
ENGINE_BINARY = BACKEND_DIR.parent / "node_modules/@dynoxide/linux-x64/dynoxide"
STORE_FILE, ADDRESS_FILE = "calendar.db", "engine.json"
OUTPUT_FILE, FAILURE_FILE = "engine.log", "engine.failed"
START_TIMEOUT_S = 20.0
START_TRIES = 5
"""After so many engines in a row that ended before they answered, the supervisor gives up."""
REVIVE_TIMEOUT_S = 5.0
POLL_S = 0.25
STOP_TIMEOUT_S = 5.0
LOCK_PATIENCE_S = 1.0
PR_SET_PDEATHSIG = 1


class EngineUnavailable(SetupError):
    """The engine could not be started; the text says why and where its log is."""


class Engine:
    """The engine of a data directory, kept running until this process ends; `url` is its HTTP address."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            self._clients = _open_lock(data_dir / "clients.lock")
        except OSError as error:
            raise EngineUnavailable(f"EMBEDDED_DATA_DIR={data_dir} 폴더에 쓸 수 없습니다: {error}") from error
        self._reviving = threading.Lock()
        self.url = self._join(START_TIMEOUT_S)

    def revive(self) -> bool:
        """Start the supervisor again if it died; return whether the engine's address has changed.

        Raises `EngineUnavailable`.
        """
        with self._reviving:
            before = self.url
            self.url = self._join(REVIVE_TIMEOUT_S)
            return self.url != before

    def _join(self, timeout: float) -> str:
        (self._data_dir / FAILURE_FILE).unlink(missing_ok=True)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if reason := self._failure():
                raise EngineUnavailable(
                    f"내장 저장소를 열 수 없습니다: {self._data_dir / STORE_FILE}\n"
                    f"  → 원인: {reason}\n"
                    "  → 백업한 파일로 바꾸거나, 이 파일을 다른 곳으로 옮기고 다시 실행하면 "
                    "빈 저장소로 시작합니다."
                )
            # A supervisor that shuts down holds the lock: a new one must wait until it has ended.
            if _try_lock(self._clients, fcntl.LOCK_SH):
                if not self._supervisor_lives():
                    self._start_supervisor()
                elif (address := self._address()) and _answers(address["port"]):
                    return f"http://127.0.0.1:{address['port']}"
            time.sleep(POLL_S / 10)
        raise EngineUnavailable(f"내장 저장소를 시작하지 못했습니다. 기록: {self._data_dir / OUTPUT_FILE}")

    def _supervisor_lives(self) -> bool:
        lock = _open_lock(self._data_dir / "engine.lock")
        try:
            return not _try_lock(lock, fcntl.LOCK_EX)
        finally:
            os.close(lock)

    def _start_supervisor(self) -> None:
        with (self._data_dir / OUTPUT_FILE).open("ab") as output:
            subprocess.run(  # noqa: S603 - our own interpreter and file
                [sys.executable, "-m", __name__, str(self._data_dir)],
                cwd=BACKEND_DIR,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,  # returns at once: the supervisor detaches itself, or is started again
            )
        deadline = time.monotonic() + LOCK_PATIENCE_S
        while not self._supervisor_lives() and time.monotonic() < deadline:
            time.sleep(POLL_S / 10)

    def _failure(self) -> str:
        try:
            return (self._data_dir / FAILURE_FILE).read_text()
        except FileNotFoundError:
            return ""

    def _address(self) -> dict[str, Any] | None:
        try:
            address: dict[str, Any] = json.loads((self._data_dir / ADDRESS_FILE).read_text())
        except (FileNotFoundError, ValueError):
            return None
        return address


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


class Supervisor:
    """Runs one engine for as long as a server uses it, in a process of its own."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._address_file = data_dir / ADDRESS_FILE
        self._output = data_dir / OUTPUT_FILE
        self._output_from = 0
        self._engine: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        lock = _open_lock(self._data_dir / "engine.lock")
        # A server holds the lock for a moment to see whether a supervisor lives: try again before giving up.
        deadline = time.monotonic() + LOCK_PATIENCE_S
        while not _try_lock(lock, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                return  # another supervisor was faster
            time.sleep(POLL_S / 10)
        clients = _open_lock(self._data_dir / "clients.lock")
        failures = 0
        # Both locks stay held until exit, so that no new supervisor begins before the engine is gone.
        while not _try_lock(clients, fcntl.LOCK_EX):
            if self._engine is None or self._engine.poll() is not None:
                failures = 0 if self._start_engine() else failures + 1
            if failures == START_TRIES:
                self._give_up()
                return
            time.sleep(POLL_S)
        if self._engine is not None:
            self._engine.terminate()
            try:
                self._engine.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._engine.kill()
                self._engine.wait()

    def _start_engine(self) -> bool:
        """Start an engine and store its address; return False if it ends or hangs before it answers."""
        port = self._free_port()
        self._output_from = self._output.stat().st_size
        self._engine = subprocess.Popen(  # noqa: S603 - a fixed program, no shell
            self._command(port),
            stdin=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _answers(port):
            if self._engine.poll() is not None or time.monotonic() > deadline:
                self._engine.kill()
                return False  # the loop tries again, on another port if this one is taken
            time.sleep(POLL_S / 10)
        _write_whole(self._address_file, json.dumps({"port": port}))
        return True

    def _give_up(self) -> None:
        """Store the last line of the engine's output as the reason that waiting servers report."""
        with self._output.open("rb") as output:
            output.seek(self._output_from)
            said = output.read().decode(errors="replace").strip().splitlines()
        reason = said[-1].removeprefix("error: ") if said else "이유를 남기지 않고 끝났습니다."
        _write_whole(self._data_dir / FAILURE_FILE, reason)

    def _command(self, port: int) -> list[str]:
        if ENGINE_BINARY.exists():
            store = self._data_dir / STORE_FILE
            return [str(ENGINE_BINARY), "serve", "--port", str(port), "--db-path", str(store)]
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]

    def _free_port(self) -> int:
        """Return the last used port if it is free, so that servers find a restarted engine again."""
        try:
            wanted = int(json.loads(self._address_file.read_text())["port"])
        except (FileNotFoundError, ValueError, KeyError):
            wanted = 0
        for port in (wanted, 0):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return int(probe.getsockname()[1])
        raise EngineUnavailable("127.0.0.1에 빈 포트가 없습니다.")


def _open_lock(path: Path) -> int:
    """Open a lock file; the descriptor is not inherited by programs that this process starts."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def _write_whole(path: Path, text: str) -> None:
    """Write a file under another name and rename it, so that nobody reads half of it."""
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.replace(path)


def _try_lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _die_with_parent() -> None:
    """Make Linux kill the engine when its supervisor dies for any reason."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _detach() -> None:
    """Leave the server's process group, so that Ctrl-C there does not end the engine during a write."""
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")


if __name__ == "__main__":
    _detach()
    Supervisor(Path(sys.argv[1])).run()
