"""`SECURITY.md` names each kind of line that the security log has."""

import re

from people import Act
from running import BACKEND, ROOT
from security_log import NOTED

_, _, PAGE = (ROOT / "SECURITY.md").read_text().partition("## The security log")
NOTE = re.compile(r'\bnote\(\s*"(\w+)"')


def test_every_kind_of_line_is_on_the_page_and_no_other():
    first_cells = re.findall(r"^\| (`[^|]+) \|", PAGE, re.MULTILINE)
    shown = set(re.findall(r"`(\w+)`", " ".join(first_cells)))
    noted = {kind for path in BACKEND.rglob("*.py") for kind in NOTE.findall(path.read_text())}
    assert {"refused", "token_used_from_new_address"} <= noted
    assert shown == noted | {act.value for act in Act}


def test_every_refusal_that_is_noted_is_on_the_page():
    [refused] = [line for line in PAGE.splitlines() if line.startswith("| `refused`")]
    assert {error.code for error in NOTED} <= set(re.findall(r"`(\w+)`", refused))
