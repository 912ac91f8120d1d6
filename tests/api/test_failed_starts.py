"""A server that cannot start ends with a sentence and a status, never with a traceback."""

import pytest

from aws_client import KEYS
from running import COMMANDS, free_port, run, running_server


def end_of_start(mode: str, **settings: str) -> tuple[int, str]:
    command = [part.format(port=free_port()) for part in COMMANDS[mode]]
    done = run(command, **settings)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("mode", COMMANDS)
def test_a_missing_table_ends_the_start_with_a_sentence(engine, mode):
    status, output = end_of_start(mode, DYNAMODB_ENDPOINT_URL=engine.url, DEPARTMENTS_TABLE="nowhere", **KEYS)
    assert status == 3
    assert "테이블 'nowhere'가 없습니다." in output
    assert "create_tables()" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("mode", COMMANDS)
def test_missing_credentials_end_the_start_with_a_sentence(engine, mode):
    status, output = end_of_start(mode, DYNAMODB_ENDPOINT_URL=engine.url, HOME="/nonexistent")
    assert status == 3
    assert "✗ DynamoDB 연결 실패: 자격증명 오류" in output
    assert "AWS_ACCESS_KEY_ID" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("mode", COMMANDS)
def test_production_without_a_secret_ends_the_start_with_a_sentence(mode):
    status, output = end_of_start(mode, FLASK_ENV="production", DYNAMODB_ENDPOINT_URL="embedded")
    assert status == 3
    assert "SECRET_KEY" in output
    assert "Traceback" not in output


def test_an_endpoint_that_is_no_dynamodb_ends_the_start_with_a_sentence(tmp_path, settings):
    with running_server(tmp_path, "flask", settings) as other:
        status, output = end_of_start("eventlet", DYNAMODB_ENDPOINT_URL=other.url, **KEYS)
    assert status == 3
    assert "DYNAMODB_ENDPOINT_URL을 확인하세요" in output
    assert "Traceback" not in output


def test_a_data_folder_that_cannot_be_ends_the_start_with_a_sentence():
    status, output = end_of_start(
        "flask", DYNAMODB_ENDPOINT_URL="embedded", EMBEDDED_DATA_DIR="/proc/nowhere"
    )
    assert status == 3
    assert "EMBEDDED_DATA_DIR=/proc/nowhere" in output
    assert "Traceback" not in output
