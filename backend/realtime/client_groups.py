"""Clients in groups, such as those of one network: counts them, and knows the largest group."""

import threading


class ClientGroups:
    """Clients by their ids, each in at most one group, in the order in which they joined it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[str, dict[str, None]] = {}
        self._group_of: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._group_of)

    def size(self, group: str) -> int:
        return len(self._groups.get(group, ()))

    def holds(self, sid: str, group: str) -> bool:
        """Tell whether a client is in a group."""
        return self._group_of.get(sid) == group

    def add(self, sid: str, group: str) -> None:
        """Put a client into a group; nothing happens if it is in one."""
        with self._lock:
            if sid not in self._group_of:
                self._group_of[sid] = group
                self._groups.setdefault(group, {})[sid] = None

    def discard(self, sid: str) -> None:
        with self._lock:
            group = self._group_of.pop(sid, None)
            if group is None:
                return
            members = self._groups[group]
            del members[sid]
            if not members:
                del self._groups[group]

    def first_of_largest(self) -> str:
        """Return who has been in the largest group for longest; there must be a client."""
        with self._lock:
            largest = max(self._groups.values(), key=len)
            return next(iter(largest))
