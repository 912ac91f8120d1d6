"""What the command says when the operator has to correct something, or when it fails."""

import pytest

from migration.staging import Staging
from migration_workspace import Workspace


def test_a_missing_file_is_named_and_nothing_is_touched(workspace: Workspace) -> None:
    run = workspace.migrate()
    assert run.status == 2
    assert "파일 'departments.json'이(가) 없습니다." in run.err
    assert "--departments" in run.err
    workspace.copy("shape_list")
    assert "'none.json'이(가) 없습니다" in workspace.migrate("--events", "none.json").err
    with pytest.raises(Exception, match="테이블"):
        workspace.store.database().check_tables()


def test_the_line_and_column_of_broken_json_are_named_and_nothing_is_written(workspace: Workspace) -> None:
    workspace.copy("shape_list")
    text = (workspace.folder / "calendar_events.json").read_text()
    (workspace.folder / "calendar_events.json").write_text(text.replace('"신입 면접"', "신입 면접"))
    run = workspace.migrate()
    assert run.status == 2
    line = next(n for n, content in enumerate(text.splitlines(), 1) if "신입 면접" in content)
    column = text.splitlines()[line - 1].index('"신입') + 1
    assert f"'calendar_events.json'의 {line}행 {column}열" in run.err
    assert workspace.store.departments() == {}


@pytest.mark.parametrize("arguments", [("--verify-only",), ("--export", "out")])
def test_missing_tables_are_named_with_what_creates_them(
    workspace: Workspace, arguments: tuple[str, ...]
) -> None:
    workspace.copy("shape_list")
    run = workspace.migrate(*arguments)
    assert run.status == 2
    assert "'가 없습니다." in run.err
    assert "create_tables()" in run.err


def test_missing_credentials_are_said_plainly(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.copy("shape_list")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(variable, "none")
    run = workspace.migrate()
    assert run.status == 2
    assert "✗ DynamoDB 연결 실패: 자격증명 오류" in run.err


def test_a_folder_that_cannot_be_written_is_named(workspace: Workspace) -> None:
    workspace.copy("broken_rows")
    workspace.store.created()
    (workspace.folder / "file").write_text("")
    run = workspace.migrate("--export", "file/out")
    assert run.status == 2
    assert "쓸 수 없습니다" in run.err
    (workspace.folder / "migration_errors.json").mkdir()
    run = workspace.migrate()
    assert run.status == 2
    assert "migration_errors.json" in run.err


def test_a_wrong_number_of_workers_is_refused(workspace: Workspace) -> None:
    for text in ("0", "-1", "65", "many"):
        with pytest.raises(SystemExit) as left:
            workspace.migrate("--workers", text)
        assert left.value.code == 2


def test_an_unexpected_failure_is_no_bare_traceback(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_staging: Staging, _event_file: str = "") -> None:
        raise RuntimeError("a mistake of ours")

    workspace.copy("shape_list")
    monkeypatch.setattr(Staging, "__init__", fail)
    run = workspace.migrate()
    assert run.status == 2
    assert "a mistake of ours" in caplog.text
    assert run.err.splitlines()[-1].startswith("예상하지 못한 오류로 멈췄습니다")


def test_a_setting_that_cannot_be_right_is_named(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.copy("shape_list")
    monkeypatch.setenv("AWS_REGION", "no region")
    run = workspace.migrate()
    assert (run.status, run.out) == (2, "")
    assert run.err.startswith("AWS_REGION=no region 값을 쓸 수 없습니다.")
