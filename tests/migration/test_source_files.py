"""Files as the desktop program left them: encodings, nesting, and where broken ones are broken."""

import json
from pathlib import Path

import pytest

from migration.source_encoding import FileUnusable
from migration.source_files import Row, SourceFile, Stray


def rows(path: Path, content: str | bytes, encoding: str = "utf-8") -> list[Row | Stray]:
    path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
    return list(SourceFile(path).rows("events", "departments"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calendar_events.json"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp949"])
def test_text_is_the_same_in_every_encoding(path: Path, encoding: str) -> None:
    text = '[{"title": "팀 회의 똠방각하"}]'
    assert rows(path, text, encoding) == [Row("[0]", (), {"title": "팀 회의 똠방각하"})]


def test_a_character_that_is_split_between_blocks_is_read_whole(path: Path) -> None:
    text = json.dumps([{"title": "가" * 100_001}, {"title": "x" + "나" * 100_001}], ensure_ascii=False)
    for encoding in ("utf-8", "cp949", "utf-16"):
        assert [row.content["title"][-2:] for row in rows(path, text, encoding)] == ["가가", "나나"]


def test_a_row_has_its_location_and_the_keys_around_it(path: Path) -> None:
    found = rows(path, '{"events": {"개발팀": {"2024-01-20": [{"a": 1}, 2], "2024-01-21": {"b": [3]}}}}')
    assert found == [
        Row("events.개발팀.2024-01-20[0]", ("개발팀", "2024-01-20"), {"a": 1}),
        Row("events.개발팀.2024-01-20[1]", ("개발팀", "2024-01-20"), 2),
        Row("events.개발팀.2024-01-21.b[0]", ("개발팀", "2024-01-21", "b"), 3),
    ]


def test_a_keyed_object_that_begins_with_a_plain_value_is_a_row(path: Path) -> None:
    found = rows(path, '{"2024-01-20": {"title": "회의", "tags": ["a"]}, "빈": {}, "없음": []}')
    assert found == [Row("2024-01-20", ("2024-01-20",), {"title": "회의", "tags": ["a"]})]


def test_values_beside_the_rows_are_told_of(path: Path) -> None:
    assert rows(path, '{"version": 2, "events": [{"a": 1}]}') == [
        Stray("version", 2),
        Row("events[0]", (), {"a": 1}),
    ]


def test_the_rows_of_the_other_kind_are_passed_over(path: Path) -> None:
    assert rows(path, '{"departments": [{"name": "개발팀"}], "events": [{"a": 1}]}') == [
        Row("events[0]", (), {"a": 1})
    ]


def test_a_key_that_is_there_twice_keeps_both_values(path: Path) -> None:
    assert rows(path, '[{"a": 1, "a": 2, "a": 3}]')[0].content == {
        "a": 1,
        "a (다시)": 2,
        "a (다시) (다시)": 3,
    }


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1}\n {"b": 2}]',
        '[{"a": "회의"\n  "b": 1}]',
        '[\n  {"a": nul}\n]',
        "[1] x",
        '{"a" 12}',
        '[{"a": 1},\n {"a": NaN}]',
        "\n" * 70_000 + '[{"a": 1},\n {"a": "팀" 1}]',
    ],
)
def test_the_error_of_broken_json_is_located_where_the_json_module_locates_it(path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"line \d+ column \d+") as expected:
        json.loads(text, parse_constant=lambda _name: _no_constant(text))
    with pytest.raises(FileUnusable) as refused:
        rows(path, text)
    line, column = _line_and_column(str(expected.value))
    assert f"{line}행 {column}열에서 JSON 문법이 틀립니다" in str(refused.value)


def test_a_trailing_comma_is_located_at_the_member_that_should_follow_it(path: Path) -> None:
    with pytest.raises(FileUnusable, match="1행 17열에서 JSON 문법이 틀립니다"):
        rows(path, '[{"title": "회의",}]')


def _no_constant(text: str) -> object:
    raise json.JSONDecodeError("constant", text, text.index("NaN"))


def _line_and_column(message: str) -> tuple[str, str]:
    words = message.replace("(", " ").split()
    return words[words.index("line") + 1], words[words.index("column") + 1]


@pytest.mark.parametrize(
    ("text", "end"), [("", "1행 1열"), ('[{"a": "팀', "1행 10열"), ('[\n{"a": 1}', "2행 9열")]
)
def test_a_file_that_ends_too_early_is_said_to(path: Path, text: str, end: str) -> None:
    with pytest.raises(FileUnusable, match=f"{end}에서 파일이 중간에 끝납니다"):
        rows(path, text)


def test_damaged_utf8_is_not_taken_for_cp949(path: Path) -> None:
    damaged = '[{"title":\n "개발'.encode()[:-2] + b'"}]'
    assert damaged.decode("cp949") == '[{"title":\n "媛쒕"}]'
    with pytest.raises(FileUnusable, match="2행 4열"):
        rows(path, damaged)


def test_bytes_of_no_known_encoding_are_refused(path: Path) -> None:
    with pytest.raises(FileUnusable, match="UTF-8도 CP949도 아닙니다"):
        rows(path, b'["\xff\xff"]')
    with pytest.raises(FileUnusable, match="UTF-16"):
        rows(path, b"\xff\xfe[\x00\x00\xd8")


def test_a_missing_file_and_a_folder_are_refused_with_their_names(path: Path) -> None:
    with pytest.raises(FileUnusable, match=r"calendar_events\.json'이\(가\) 없습니다"):
        SourceFile(path)
    with pytest.raises(FileUnusable, match="읽을 수 없습니다"):
        SourceFile(path.parent)
