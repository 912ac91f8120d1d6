"""Departments of the old files into the tables, through the change log: clients see them at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from domain import REGISTRY, ChangeType, Department, Write, fold_text
from migration.bulk_load import Kind
from migration.source_rows import SourceDepartment, with_stored_moments
from models import DynamoDBDatabase
from services.change_log import ChangeLog, WriteRefused
from store.items import Refusal


@dataclass(frozen=True, slots=True)
class Candidate:
    """A department of the file and its place there."""

    place: str
    content: object
    source: SourceDepartment


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a candidate; why, if it was refused."""

    candidate: Candidate
    kind: Kind
    reason: str = ""


class DepartmentLoad:
    """One run's departments."""

    def __init__(self, stored: Sequence[Department]) -> None:
        self._stored = {department.id: department for department in stored}
        self.repeated = 0
        self.wanted: list[Candidate] = []

    def settle(self, candidates: Sequence[Candidate]) -> Iterator[Outcome]:
        """Choose what is wanted: one row of each id, one id of each name. Yields the others."""
        chosen: dict[str, Candidate] = {}
        for candidate in sorted(candidates, key=lambda c: c.source.entity.updated_at):
            entity = candidate.source.entity
            other = chosen.get(entity.id)
            if other and other.source.entity == entity:
                self.repeated += 1
                continue
            if other:
                yield Outcome(other, Kind.SUPERSEDED, f"같은 id의 더 새로운 행이 있습니다: {candidate.place}")
            chosen[entity.id] = candidate
        names = {
            fold_text(department.name): department.id
            for department in self._stored.values()
            if department.id not in chosen
        }
        for candidate in candidates:
            entity = candidate.source.entity
            if chosen.get(entity.id) is not candidate:
                continue
            owner = names.setdefault(fold_text(entity.name), entity.id)
            if owner == entity.id:
                self.wanted.append(candidate)
            else:
                yield Outcome(
                    candidate,
                    Kind.REFUSED,
                    f"같은 이름의 부서가 이미 있습니다(id {owner}). "
                    "그 부서의 이름을 바꾸거나 지운 뒤 다시 실행하세요.",
                )

    def compare(self) -> Iterator[Outcome]:
        """Tell what `load` would do, and write nothing."""
        return (Outcome(candidate, self._judge(candidate)) for candidate in self.wanted)

    def load(self, db: DynamoDBDatabase) -> Iterator[Outcome]:
        """Bring each wanted department into the tables; equal ones are left alone."""
        log = ChangeLog(db)
        waiting, refused = list(self.wanted), 0
        while waiting and refused != len(waiting):  # one may wait for the name that another gives up
            refused = len(waiting)
            later: list[Outcome] = []
            for candidate in waiting:
                outcome = self._load_one(db, log, candidate)
                if outcome.kind is Kind.REFUSED:
                    later.append(outcome)
                else:
                    yield outcome
            waiting = [outcome.candidate for outcome in later]
        for outcome in later if waiting else ():
            self.wanted.remove(outcome.candidate)
            yield outcome

    def _load_one(self, db: DynamoDBDatabase, log: ChangeLog, candidate: Candidate) -> Outcome:
        kind = self._judge(candidate)
        if kind is Kind.EQUAL:
            return Outcome(candidate, kind)
        source = candidate.source
        before = self._stored.get(source.entity.id)
        if before is None:
            write = Write(type=ChangeType.DEPARTMENT_CREATED, entity=source.entity)
        else:
            write = Write(
                type=ChangeType.DEPARTMENT_UPDATED,
                entity=with_stored_moments(source, before),
                before=before,
                releases_name=db.owns_name(before),
            )
        try:
            log.commit(REGISTRY, write)
        except WriteRefused as error:
            if error.refusal is Refusal.NAME_TAKEN:
                return Outcome(candidate, Kind.REFUSED, "같은 이름의 부서가 이미 있습니다.")
            reason = "다른 사용자가 이 부서를 고치거나 지우는 중입니다. 잠시 후 다시 실행하세요."
            return Outcome(candidate, Kind.REFUSED, reason)
        return Outcome(candidate, kind)

    def _judge(self, candidate: Candidate) -> Kind:
        stored = self._stored.get(candidate.source.entity.id)
        if stored is None:
            return Kind.CREATED
        return Kind.EQUAL if with_stored_moments(candidate.source, stored) == stored else Kind.UPDATED
