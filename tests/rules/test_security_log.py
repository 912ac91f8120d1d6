"""The security log: what a reader of it can be made to see."""

import json

import pytest

import security_log


@pytest.mark.parametrize("sign", ["\x7f", "\x9b31m", "\u2028", "\u202e"])
def test_a_line_holds_no_sign_that_controls_a_terminal_and_reads_as_it_was(caplog, sign):
    path = f"/api/부서/{sign}"
    with caplog.at_level("INFO", "calendar.security"):
        security_log.note("refused", path=path)
    (line,) = caplog.messages
    assert line.replace("부서", "").isascii()
    assert "\x7f" not in line
    assert json.loads(line)["path"] == path
