"""The process that runs the engine of a data directory for as long as a server uses it.

It restarts an engine that dies, and stops the engine once nobody uses it. When the supervisor is killed,
Linux kills its engine.
"""

import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from store.engine_files import (
    ADDRESS_FILE,
    FAILURE_FILE,
    LOCK_PATIENCE_S,
    OLDER_SUPERVISOR_LOCK,
    OUTPUT_FILE,
    POLL_S,
    SQLITE_FILES,
    START_TIMEOUT_S,
    STORE_FILE,
    USERS_LOCK,
    WAL_FILE,
    Address,
    file_id,
    last_port,
    new_address,
    open_directory,
    open_lock,
    publish_address,
    try_lock,
    wait_until,
    write_whole,
)

ENGINE_BINARY = Path(__file__).resolve().parents[2] / "node_modules/@dynoxide/linux-x64/dynoxide"
START_TRIES = 5
"""After so many engines in a row that ended before they answered, the supervisor gives up."""
STOP_TIMEOUT_S = 5.0
OLDER_STOP_S = STOP_TIMEOUT_S + 1.0
"""How long the supervisor of an older version may take to stop its engine after its last server has ended."""
PR_SET_PDEATHSIG = 1


class Supervisor:
    """Runs one engine at a time on a data directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = open_directory(folder)
        self._output = os.open(folder / OUTPUT_FILE, os.O_RDONLY)
        self._output_from = 0
        self._engine: subprocess.Popen[bytes] | None = None
        self._address: Address | None = None
        """Of the last engine that answered."""
        self._has_answered = False
        """Whether the engine started last is that one."""

    def run(self) -> None:
        if not _lock_within(LOCK_PATIENCE_S, self._lock):
            return  # another supervisor was faster
        older = open_lock(self._folder / OLDER_SUPERVISOR_LOCK)
        if not _lock_within(OLDER_STOP_S, older):
            self._give_up(
                "이 폴더를 이전 버전(1.2 이하)의 서버가 쓰고 있습니다.",
                "그 서버를 모두 끝낸 뒤 다시 실행하세요.",
            )
            return
        users = open_lock(self._folder / USERS_LOCK)
        failures = 0
        # All locks stay held until exit, so that no new supervisor begins before the engine is gone.
        while not try_lock(users, fcntl.LOCK_EX):
            if self._engine_lives() and not self._address_is_shown() and not self._store_is_lost():
                self._kill_engine()  # only an engine locks its address file: a new file needs a new engine
            if not self._engine_lives():
                if self._store_is_lost():
                    self._note_lost_wal()
                    self._set_rest_aside()
                    return  # the servers that run refuse to work; one that starts begins a new store
                failures = 0 if self._start_engine() else failures + 1
            if failures == START_TRIES:
                self._give_up(
                    self._last_words(),
                    "백업한 파일로 바꾸거나, 이 파일을 다른 곳으로 옮기고 다시 실행하면 "
                    "빈 저장소로 시작합니다.",
                )
                return
            time.sleep(POLL_S)
        self._set_rest_aside()
        self._stop_engine()

    def _engine_lives(self) -> bool:
        return self._engine is not None and self._engine.poll() is None

    def _store_is_lost(self) -> bool:
        """Return whether the directory, or a file that the last engine had open, was deleted or replaced.

        A new engine would begin an empty store there, perhaps one that another supervisor's engine serves, or
        one without the last writes.
        """
        if file_id(self._folder) != file_id(self._lock):
            return True
        return self._lost_file() is not None

    def _lost_file(self) -> Path | None:
        """Return the lost file without which no engine may be started."""
        if self._address is None or self._engine is None:
            return None
        # An engine that ends in order deletes its log. So does one that ends before it answers.
        needs_wal = self._has_answered and self._engine.poll() != 0
        names = [STORE_FILE, WAL_FILE] if needs_wal else [STORE_FILE]
        return self._address.lost_file(self._folder, names)

    def _note_lost_wal(self) -> None:
        """Tell the servers, which cannot see how the engine ended when its index is lost as well."""
        if self._address and self._lost_file() == self._folder / WAL_FILE:
            self._address.note_lost_wal()

    def _set_rest_aside(self) -> None:
        """Rename the log of a deleted `calendar.db`: SQLite would write it into a backup put there."""
        if self._address is None or not self._address.lost_file(self._folder, [STORE_FILE]):
            return
        for name in SQLITE_FILES:
            if not self._address.lost_file(self._folder, [name]):
                with suppress(FileNotFoundError):
                    (self._folder / name).rename(self._folder / f"{name}.deleted")

    def _address_is_shown(self) -> bool:
        return self._address is not None and self._address.id == file_id(self._folder / ADDRESS_FILE)

    def _start_engine(self) -> bool:
        """Start an engine and publish its address; return False if it ends or hangs before it answers."""
        port = self._free_port()
        self._has_answered = False
        self._output_from = os.fstat(self._output).st_size
        locked, address = new_address(self._folder)
        try:
            self._engine = subprocess.Popen(  # noqa: S603 - a fixed program, no shell
                self._command(port),
                stdin=subprocess.DEVNULL,
                pass_fds=(self._lock, locked),
                preexec_fn=_die_with_parent,
            )
            os.close(locked)
            wait_until(lambda: self._listens(port) or not self._engine_lives(), START_TIMEOUT_S)
            if not self._engine_lives() or not self._listens(port):
                self._kill_engine()
                return False  # the loop tries again, on another port if this one is taken
            publish_address(self._folder, address, port)
        finally:
            os.close(address)
        self._address = Address.find(self._folder)
        self._has_answered = True
        return True

    def _listens(self, port: int) -> bool:
        """Return whether the engine says that it has the port. Who answers there may be another program."""
        return f"http://127.0.0.1:{port}\n" in self._said()

    def _said(self) -> str:
        return os.pread(self._output, 1_000_000, self._output_from).decode(errors="replace")

    def _stop_engine(self) -> None:
        if self._engine is None:
            return
        self._engine.terminate()
        try:
            self._engine.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._kill_engine()

    def _kill_engine(self) -> None:
        """End the engine at once. SQLite's files stay as after a loss of power, and nothing is lost."""
        if self._engine is not None:
            self._engine.kill()
            self._engine.wait()

    def _give_up(self, reason: str, advice: str) -> None:
        """Store what waiting servers report."""
        write_whole(self._folder / FAILURE_FILE, f"  → 원인: {reason}\n  → {advice}")

    def _last_words(self) -> str:
        said = self._said().strip().splitlines()
        return said[-1].removeprefix("error: ") if said else "엔진이 이유를 남기지 않고 끝났습니다."

    def _command(self, port: int) -> list[str]:
        if ENGINE_BINARY.exists():
            store = self._folder / STORE_FILE
            return [str(ENGINE_BINARY), "serve", "--port", str(port), "--db-path", str(store)]
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]

    def _free_port(self) -> int:
        """Return the last used port if it is free, so that servers find a restarted engine again."""
        for port in (last_port(self._folder), 0):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return int(probe.getsockname()[1])
        raise OSError("127.0.0.1에 빈 포트가 없습니다.")


def _lock_within(timeout_s: float, file: int) -> bool:
    """Lock a file for this process alone; return False if another holds it for so long.

    A server holds it for a moment to see whether a supervisor lives.
    """
    return wait_until(lambda: try_lock(file, fcntl.LOCK_EX), timeout_s)


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
