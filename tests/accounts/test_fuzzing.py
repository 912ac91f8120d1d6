"""Schemathesis against a server with accounts: whoever sends whatever, no answer is a 5xx or undescribed."""

import os
import subprocess
from pathlib import Path

import pytest

from accounts.company import Caller, Company
from running import BIN

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = os.environ.get("FUZZ_EXAMPLES")
"""How many examples of each operation the long form sends; the short form as many as the file says."""
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
ENDS_ITSELF = ("sign_out", "end_session")
"""What a caller with a cookie does not try, as it would be a stranger from then on."""


@pytest.mark.timeout(int(EXAMPLES or 0) * 60 + 300)
@pytest.mark.parametrize("kind", ["stranger", "made-up token", "reader's token", "admin's token", "admin"])
def test_no_answer_to_anybody_is_a_failure_of_the_server_or_undescribed(
    company: Company, accounts_server, tmp_path, kind
):
    caller = {
        "stranger": lambda: company.nobody,
        "made-up token": lambda: Caller(company.url, token=f"dct_x.{'a' * 32}"),
        "reader's token": lambda: company.program(
            company.person(company.department(), "reader"), scope="read"
        ),
        "admin's token": lambda: company.program(company.person(admin=True)),
        "admin": lambda: company.person(admin=True),
    }[kind]()
    headers = dict(caller.headers)
    if caller.cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in caller.cookies.items())
    command = [
        str(BIN / "schemathesis"), "--config-file", str(CONFIG), "run", f"{company.url}/openapi.json",
        f"--checks={CHECKS}",
        *(f"--header={name}: {value}" for name, value in headers.items()),
        *(f"--exclude-operation-id={name}" for name in ENDS_ITSELF if caller.cookies),
        *([f"--max-examples={EXAMPLES}"] if EXAMPLES else []),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    if caller.cookies:
        assert caller.send("GET", "/api/me").status_code == 200
    assert "예상하지 못한 오류" not in accounts_server.log
