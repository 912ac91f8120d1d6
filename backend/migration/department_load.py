"""Loads the departments of the old files as ordinary commits, so that clients see them at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from domain import REGISTRY, ChangeType, Department, Write
from migration.bulk_load import Kind
from migration.source_rows import SourceDepartment
from migration.stored_values import with_stored_values
from models import DynamoDBDatabase, Refusal
from services.group_commit import GroupCommit, WriteRefused
from services.purge import Purge
from text_order import fold_text

MADE_ANEW = "지운 부서라서 파일의 내용으로 새로 만들었습니다. 지우기 전의 이벤트는 이제 되살릴 수 없습니다."
WOULD_BE_MADE_ANEW = (
    "지운 부서입니다. 옮기면 파일의 내용으로 새로 만들고, 지우기 전의 이벤트는 되살릴 수 없게 됩니다."
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A department of the file; `location` is its path there, such as `departments[3]`."""

    location: str
    content: object
    source: SourceDepartment


@dataclass(frozen=True, slots=True)
class DepartmentOutcome:
    """What a run did with a candidate; `reason` says in Korean why, if it did not simply load it."""

    candidate: Candidate
    kind: Kind
    reason: str = ""


class DepartmentLoad:
    """One run's load of departments: `choose`, then `load` or `compare`.

    `wanted` are the candidates to load, in the order of the file; `repeated` counts rows equal to another.
    """

    def __init__(self, stored: Sequence[Department]) -> None:
        self._stored = {department.id: department for department in stored}
        self.repeated = 0
        self.wanted: list[Candidate] = []

    def choose(self, candidates: Sequence[Candidate]) -> Iterator[DepartmentOutcome]:
        """Fill `wanted` with one candidate for each id and one id for each name.

        Yields the outcomes of the other candidates.
        """
        chosen: dict[str, Candidate] = {}
        for candidate in sorted(candidates, key=lambda c: c.source.entity.updated_at):
            entity = candidate.source.entity
            other = chosen.get(entity.id)
            if other and other.source.entity == entity:
                self.repeated += 1
                continue
            if other:
                yield DepartmentOutcome(
                    other, Kind.SUPERSEDED, f"같은 id의 더 새로운 행이 있습니다: {candidate.location}"
                )
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
                yield DepartmentOutcome(
                    candidate,
                    Kind.REFUSED,
                    f"같은 이름의 부서가 이미 있습니다(id {owner}). "
                    "그 부서의 이름을 바꾸거나 지운 뒤 다시 실행하세요.",
                )

    def compare(self, db: DynamoDBDatabase | None) -> Iterator[DepartmentOutcome]:
        """Yield the outcomes that `load` would have, without writing; `db` is None if there are no tables."""
        for candidate in self.wanted:
            kind = self._judge(candidate)
            made_anew = db and kind is Kind.CREATED and db.find_purge(candidate.source.entity.id)
            yield DepartmentOutcome(candidate, kind, WOULD_BE_MADE_ANEW if made_anew else "")

    def load(self, db: DynamoDBDatabase) -> Iterator[DepartmentOutcome]:
        """Write the wanted departments that are new or differ; yield the outcome of every wanted one.

        Raises `StoreUnavailable`.
        """
        group_commit = GroupCommit(db)
        waiting, refused = list(self.wanted), 0
        # A later department may give up the name that an earlier one takes: repeat while any succeeds.
        while waiting and refused != len(waiting):
            refused = len(waiting)
            later: list[DepartmentOutcome] = []
            for candidate in waiting:
                outcome = self._load_one(db, group_commit, candidate)
                if outcome.kind is Kind.REFUSED:
                    later.append(outcome)
                else:
                    yield outcome
            waiting = [outcome.candidate for outcome in later]
        for outcome in later if waiting else ():
            self.wanted.remove(outcome.candidate)
            yield outcome

    def _load_one(
        self, db: DynamoDBDatabase, group_commit: GroupCommit, candidate: Candidate
    ) -> DepartmentOutcome:
        kind = self._judge(candidate)
        if kind is Kind.EQUAL:
            return DepartmentOutcome(candidate, kind)
        source = candidate.source
        before = self._stored.get(source.entity.id)
        if before is None:
            write = Write(type=ChangeType.DEPARTMENT_CREATED, entity=source.entity)
        else:
            write = Write(
                type=ChangeType.DEPARTMENT_UPDATED,
                entity=with_stored_values(source, before),
                before=before,
                releases_name=db.owns_name(before),
            )
        try:
            made_anew = _commit(db, group_commit, write)
        except WriteRefused as error:
            if error.refusal is Refusal.NAME_TAKEN:
                return DepartmentOutcome(candidate, Kind.REFUSED, "같은 이름의 부서가 이미 있습니다.")
            reason = "다른 사용자가 이 부서를 고치거나 지우는 중입니다. 잠시 후 다시 실행하세요."
            return DepartmentOutcome(candidate, Kind.REFUSED, reason)
        return DepartmentOutcome(candidate, kind, MADE_ANEW if made_anew else "")

    def _judge(self, candidate: Candidate) -> Kind:
        stored = self._stored.get(candidate.source.entity.id)
        if stored is None:
            return Kind.CREATED
        return Kind.EQUAL if with_stored_values(candidate.source, stored) == stored else Kind.UPDATED


def _commit(db: DynamoDBDatabase, group_commit: GroupCommit, write: Write) -> bool:
    """Commit a write. Return whether what a deleted department with this id had left was purged for it.

    Raises `WriteRefused`.
    """
    try:
        group_commit.commit(REGISTRY, write)
    except WriteRefused as error:
        in_the_way = error.refusal is Refusal.CHANGED and write.before is None
        if not (in_the_way and Purge(db).remove_now(write.entity.id)):
            raise
    else:
        return False
    group_commit.commit(REGISTRY, write)
    return True
