"""The Korean lines that report the results of a run to the operator. Prints nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import fields

from domain import Department, Event
from migration.bulk_load import Kind
from migration.source_rows import Remarks


def name_of(entity: Department | Event) -> str:
    if isinstance(entity, Department):
        return f"부서 '{entity.name}'"
    return f"이벤트 '{entity.title}' ({entity.event_date})"


def row_line(entity: Department | Event, kind: Kind, *, dry_run: bool) -> str:
    """Return the line for one row that is not refused."""
    if kind is Kind.EQUAL:
        return f"  - {name_of(entity)} 변경 없음"
    if dry_run:
        return f"  + {name_of(entity)} {'추가' if kind is Kind.CREATED else '수정'} 예정"
    return f"  ✓ {name_of(entity)} 마이그레이션 완료"


def loaded_lines(what: str, counts: Mapping[Kind, int], *, dry_run: bool) -> Iterator[str]:
    """Yield the summary of one file; `what` is the Korean word for its rows."""
    created, updated, equal = counts[Kind.CREATED], counts[Kind.UPDATED], counts[Kind.EQUAL]
    done = "마이그레이션 예정" if dry_run else "데이터 마이그레이션 완료"
    yield f"✅ {what} {done}: {created + updated + equal}개"
    yield f"   (추가 {created}, 수정 {updated}, 변경 없음 {equal})"


def difference_line(wanted: Department | Event, stored: Department | Event | None) -> str:
    """Return the line for an entity that differs between file and tables, with the fields that differ."""
    parts = [
        f"{field.name}: 파일 '{getattr(wanted, field.name)}' ≠ 표 '{getattr(stored, field.name)}'"
        for field in fields(wanted)
        if stored and field.compare and getattr(wanted, field.name) != getattr(stored, field.name)
    ]
    return f"  ✗ {name_of(wanted)}: {', '.join(parts) or '표에 없습니다.'}"


def repair_line(location: str, before: str, after: str) -> str:
    return f"  ↻ 글자 복구 {location}: '{before}' → '{after}'"


def remark_lines(remarks: Remarks, repeated: int, zone: str) -> Iterator[str]:
    """Yield the lines about remarks, none a failure; `repeated` counts rows that are equal to another."""
    for name, count in remarks.left_behind.items():
        yield f"  ⚠ 옮기지 않은 항목: {name} {count}개"
    if remarks.repairs:
        yield f"  ↻ 글자를 복구한 값: {remarks.repairs}개"
    if repeated:
        yield f"  ⚠ 똑같이 되풀이된 행: {repeated}개 (한 번만 옮깁니다)"
    if remarks.clashing_clocks:
        yield f"  ⚠ time에 다른 내용이 있어 쓰지 않은 시각: {remarks.clashing_clocks}개"
    if remarks.clocks or remarks.moved_days:
        yield (
            f"  ↻ 날짜에서 읽은 것({zone}): time에 넣은 시각 {remarks.clocks}개, "
            f"시간대에 따라 바뀐 날짜 {remarks.moved_days}개"
        )
