"""The README's tour works as printed, in both languages."""

import os
import re
import signal
import subprocess

import pytest

from running import BIN, ROOT, embedded, hermetic_env, running_server

PARTS = re.compile(r"^## (?:Five-minute tour|5분 둘러보기)$(.*?)^## ", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "README.ko.md"])
def test_the_tour_works_as_printed(tmp_path, page):
    [tour] = PARTS.findall((ROOT / page).read_text())
    blocks = re.findall(r"^```bash\n(.*?)^```", tour, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    settings = embedded(tmp_path / "data")
    with running_server(tmp_path, "flask", settings) as server:
        script = "set -em\n" + "\n".join(blocks).replace("localhost:5000", server.url.removeprefix("http://"))
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=ROOT,
            env=hermetic_env(PATH=f"{BIN}:{os.environ['PATH']}"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = shell.communicate(timeout=40)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            output, _ = shell.communicate()
            pytest.fail(output)
    assert shell.returncode == 0, output
    assert output.count('"success":true') == 5, output
    for told in ("connected", "joined_department", "event_created", "event_updated"):
        assert f"→ {told} " in output, output
    assert '"title":"주간 회의"' in output
    assert '"type":"event_updated"' in output
