"""The monthly bill that DYNAMODB_SETUP.md shows, computed from what the design asks of DynamoDB."""

from dataclasses import dataclass
from math import ceil

# What one operation costs, in request units, while an event and its log row are at most 1 KB each.
CHANGE_WRITES = 2 + 2 + 1 + 2  # head, event and log row in a transaction; the index outside of it
DELETION_WRITES = 2  # its row, which finds the event again
DELETIONS = 0.1  # of the changes
CHANGE_READS = 1  # an edit finds the event first
OPEN_READS = 1 + 2  # a list: the head; a join: the head twice
FOLLOW_READS = 2  # another server reads the head, then the log
SESSION_WRITES = 2 + 2 + 2  # head, log row and session in a transaction, once a day for each browser
TOKEN_WRITES = 9  # a program's token is noted as used, once in each hour of a day
RIGHTS_READS = 1  # the list of departments asks for the head of the accounts
POLL_READS = 0.5  # eventually consistent
POLLS_PER_HOUR = 3600 // 2
READY_PER_MONTH = 2 * 6 * 60 * 24 * 30  # two load balancer nodes, every 10 s
PURGE_LOOKS_PER_MONTH = 2 * 6 * 24 * 30  # two queries, every 10 minutes
DEPARTMENTS_PER_READ = 4096 // 400  # the list of departments is a scan
EVENT_KB = 0.7
LOG_ROW_KB = 0.9
DAYS, HOURS = 22, 9

# USD, an assumption of November 2026 for ap-northeast-2.
WRITES_MILLION, READS_MILLION, STORED_GB, RECOVERY_GB = 0.68, 0.14, 0.27, 0.22


@dataclass(frozen=True)
class Company:
    people: int
    departments: int
    servers: int
    rooms: int
    changes_a_day: int
    opens_a_day: int = 10

    def writes(self) -> float:
        changes = self.changes_a_day * (CHANGE_WRITES + DELETIONS * DELETION_WRITES)
        return DAYS * (changes + self.people * (SESSION_WRITES + TOKEN_WRITES))

    def polls(self) -> float:
        lists = 2  # the list of departments, and the accounts
        return self.servers * (self.rooms + lists) * POLLS_PER_HOUR * POLL_READS * HOURS * DAYS

    def reads(self) -> float:
        scan = ceil(self.departments / DEPARTMENTS_PER_READ)
        opens = self.people * self.opens_a_day * DAYS * (OPEN_READS + RIGHTS_READS + scan)
        followers = (self.servers - 1) * (self.changes_a_day + self.people) * FOLLOW_READS * DAYS
        edits = self.changes_a_day * DAYS * CHANGE_READS
        always = self.servers * (READY_PER_MONTH + PURGE_LOOKS_PER_MONTH)
        return self.polls() + always + opens + followers + edits

    def stored_gb(self) -> float:
        """After a year, nothing deleted: each event twice, for its index; 30 days of the log."""
        changes_a_month = self.changes_a_day * DAYS
        return (changes_a_month * 12 * EVENT_KB * 2 + changes_a_month * LOG_ROW_KB) / 1e6

    def dollars(self) -> float:
        return (
            self.writes() / 1e6 * WRITES_MILLION
            + self.reads() / 1e6 * READS_MILLION
            + self.stored_gb() * (STORED_GB + RECOVERY_GB)
        )

    def row(self, name: str) -> str:
        """Return the row of the page's table."""
        return (
            f"| {name} | {self.people:,} | {self.departments} | {self.servers} | {self.rooms} "
            f"| {self.changes_a_day:,} | {self.writes() / 1e6:.2f} M | {self.polls() / 1e6:.1f} M "
            f"| {self.reads() / 1e6:.1f} M | {self.stored_gb():.2f} GB | ${self.dollars():.2f} |"
        )


SMALL = Company(people=30, departments=10, servers=1, rooms=8, changes_a_day=40)
MIDDLE = Company(people=500, departments=60, servers=2, rooms=50, changes_a_day=800)
LARGE = Company(people=5_000, departments=400, servers=4, rooms=300, changes_a_day=10_000)
