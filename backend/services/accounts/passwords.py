"""Hashes of passwords, made in real threads: nobody else waits for them.

argon2id with the parameters that OWASP recommends at least. A hash takes some 30 ms and 19 MiB.
"""

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from concurrency import REAL_THREADS, in_real_thread
from services.fair_turns import FairTurns

MEMORY_KIB = 19 * 1024
_hasher = PasswordHasher(time_cost=2, memory_cost=MEMORY_KIB, parallelism=1)
_turns = FairTurns(REAL_THREADS)
_nobody = _hasher.hash("the password of nobody")


def hash_password(password: str, asker: str) -> str:
    """Return the hash of a password.

    `asker` is who asks for it, such as an account or a network: nobody waits for all of another asker's.
    Raises `OutOfTime`.
    """
    with _turns.turn(asker):
        hashed: str = in_real_thread(_hasher.hash, password)
        return hashed


def is_password(password: str, kept: str | None, asker: str) -> bool:
    """Tell whether a hash is that of a password; for None take as long, and say no. Raises `OutOfTime`.

    `asker` as for `hash_password`.
    """
    with _turns.turn(asker):
        return bool(in_real_thread(_verify, password, kept or _nobody)) and kept is not None


def _verify(password: str, kept: str) -> bool:
    try:
        return _hasher.verify(kept, password)
    except (Argon2Error, InvalidHashError):
        return False
