"""The data directory of an embedded store: the files and locks by which its processes find each other.

The kernel frees a lock when the last process that holds it ends, even by `kill -9`. So locks show who lives:

- The supervisor and its engine lock the directory itself. Whoever deletes files in it, lock files included,
  cannot make room for a second engine on the same store.
- Only the engine locks the `engine.json` that has its address. It listens on that port from before the file
  exists until it ends: while the lock is held, nobody else can answer there.
- Each process that uses the engine holds `users.lock` shared. The supervisor stops its engine once nobody
  holds it.
- Supervisors of versions 1.1 and 1.2 lock only `engine.lock`, and stop their engine once `clients.lock` is
  free.
"""

import fcntl
import json
import os
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

STORE_FILE = "calendar.db"
WAL_FILE = f"{STORE_FILE}-wal"
SHM_FILE = f"{STORE_FILE}-shm"
SQLITE_FILES = (STORE_FILE, WAL_FILE, SHM_FILE)
ADDRESS_FILE = "engine.json"
OUTPUT_FILE, FAILURE_FILE = "engine.log", "engine.failed"
USERS_LOCK, OLDER_SUPERVISOR_LOCK = "users.lock", "engine.lock"
START_TIMEOUT_S = 20.0
LOCK_PATIENCE_S = 1.0
POLL_S = 0.25

FileId = tuple[int, int]
"""Device and inode number. No other file gets the same as long as a process has this one open."""


class Address:
    """Where one run of the engine listens, and the files that it has open.

    It has them open as well: no file that follows a deleted one may get its number.
    """

    def __init__(self, file: int, folder: Path) -> None:
        """Take over an open `engine.json`; `ValueError` or `KeyError` if it is not one of this version."""
        self._file = file
        weakref.finalize(self, os.close, file)  # not before another thread that still reads it
        self.id = file_id(file)
        content: dict[str, Any] = json.loads(os.pread(file, 10_000, 0))
        self.port = int(content["port"])
        self._files = {name: (device, inode) for name, (device, inode) in content["files"].items()}
        for name in self._files:
            with suppress(FileNotFoundError):
                weakref.finalize(self, os.close, os.open(folder / name, os.O_RDONLY))

    @classmethod
    def find(cls, folder: Path) -> "Address | None":
        try:
            return cls(os.open(folder / ADDRESS_FILE, os.O_RDWR), folder)
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def has_engine(self) -> bool:
        """Return whether the engine lives, so that every connection made to its port before leads to it."""
        if not try_lock(self._file, fcntl.LOCK_SH):
            return True
        fcntl.flock(self._file, fcntl.LOCK_UN)
        return False

    def lost_file(self, folder: Path, names: Sequence[str] = SQLITE_FILES) -> Path | None:
        """Return the first of the engine's files that was deleted or replaced; None if all are there."""
        for name in names:
            # Each write asks twice; a `Path` for each file would take ten times as long as the look at it.
            if name in self._files and file_id(f"{folder}/{name}") != self._files[name]:
                return folder / name
        return None

    def lost_store(self, folder: Path) -> Path | None:
        """Return the lost file without which no engine may follow this one, which has ended; None if one may.

        The last writes are in SQLite's log alone until the engine moves them to `calendar.db`. An engine that
        ends in order does that and deletes log and index. One that crashes leaves both.
        """
        if lost := self.lost_file(folder, [STORE_FILE]):
            return lost
        if os.fstat(self._file).st_size == 0:
            return folder / WAL_FILE
        # In this order: an engine that ends in order right now deletes the index first.
        lost = self.lost_file(folder, [WAL_FILE])
        return None if self.lost_file(folder, [SHM_FILE]) else lost

    def note_lost_wal(self) -> None:
        """Tell all that hold this address that its engine crashed without its log: empty the file."""
        os.ftruncate(self._file, 0)


def new_address(folder: Path) -> tuple[int, int]:
    """Create the address file of an engine about to start; return it locked, and once more to write it.

    The engine alone must keep the locked one open.
    """
    draft = _draft(folder / ADDRESS_FILE)
    draft.unlink(missing_ok=True)
    locked = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(locked, fcntl.LOCK_EX)
    return locked, os.open(draft, os.O_WRONLY)


def publish_address(folder: Path, file: int, port: int) -> None:
    """Write the address of an engine that listens, and show it to the servers."""
    opened = {name: found for name in SQLITE_FILES if (found := file_id(folder / name))}
    os.pwrite(file, json.dumps({"port": port, "files": opened}).encode(), 0)
    _draft(folder / ADDRESS_FILE).replace(folder / ADDRESS_FILE)


def last_port(folder: Path) -> int:
    """Return the port of the last engine, 0 if unknown."""
    address = Address.find(folder)
    return address.port if address else 0


def write_whole(path: Path, text: str) -> None:
    """Write a file under another name and rename it, so that nobody reads half of it."""
    draft = _draft(path)
    draft.write_text(text)
    draft.replace(path)


def _draft(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def file_id(path: Path | str | int) -> FileId | None:
    """Return the identity of the file that a path or a descriptor leads to; None if there is none."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def open_lock(path: Path) -> int:
    """Open a lock file; the descriptor is not inherited by programs that this process starts."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def open_directory(folder: Path) -> int:
    """Open a directory to lock it."""
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


def try_lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_until(is_so: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until something is so; return False if it is not after `timeout_s`."""
    ends_at = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > ends_at:
            return False
        time.sleep(POLL_S / 10)
    return True
