"""What the infrastructure tests run: the tools, the template as data, a fake AWS CLI.

A missing tool leaves its test out, see `programs.py`.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jmespath
from cfnlint.decode import cfn_yaml

from programs import program
from running import ROOT, free_port, is_listening, wait_for
from store.engine_supervisor import ENGINE_BINARY

INFRASTRUCTURE = ROOT / "infrastructure"
TEMPLATE = INFRASTRUCTURE / "dynamodb-schema.yaml"
SECOND_TEMPLATE = Path(__file__).parent / "sessions-results.yaml"
SCRIPT = INFRASTRUCTURE / "deploy-dynamodb.sh"
TOOLS = ROOT / ".venv-infra" / "bin"
MINISTACK = ROOT / ".venv-ministack" / "bin" / "python"
PACKAGES = str(Path(jmespath.__file__).parents[1])
DEADLINE_S = 30.0


def tool(name: str) -> str:
    """Return the path of a tool of `make infra-tools`, of node_modules or of Debian."""
    for path in (TOOLS / name, ROOT / "node_modules" / ".bin" / name):
        if path.exists():
            return str(path)
    return program(name)


@contextmanager
def process(command: Sequence[str], **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program until the block is left."""
    with subprocess.Popen(command, **options) as running:
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                running.kill()


@contextmanager
def moto_server() -> Iterator[str]:
    """Run moto's server as a process: in a thread its warnings would be this suite's errors."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        wait_for(lambda: is_listening(port), DEADLINE_S, "moto's start")
        yield f"http://127.0.0.1:{port}"


@contextmanager
def ministack_server(folder: Path) -> Iterator[str]:
    """Run ministack, which keeps its own files in a folder."""
    assert MINISTACK.exists(), "ministack is missing: run `make .venv-ministack/.installed`"
    port = free_port()
    env = {
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(folder),
    }
    command = [str(MINISTACK), str(Path(__file__).parent / "ministack_server.py")]
    with (
        (folder / "ministack.log").open("wb") as log,
        process(command, cwd=folder, env=env, stdout=log, stderr=log),
    ):
        wait_for(lambda: is_listening(port), DEADLINE_S, "ministack's start")
        yield f"http://127.0.0.1:{port}"


@contextmanager
def engine(folder: Path) -> Iterator[str]:
    """Run the embedded engine on a folder."""
    port = free_port()
    command = [str(ENGINE_BINARY), "serve", "--port", str(port), "--db-path", str(folder / "calendar.db")]
    with process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        wait_for(lambda: is_listening(port), DEADLINE_S, "the engine's start")
        yield f"http://127.0.0.1:{port}"


def load_template(path: Path = TEMPLATE) -> dict[str, Any]:
    """Parse a template as cfn-lint does, into plain data with `Fn::` functions."""
    return json.loads(json.dumps(cfn_yaml.load(str(path))))


def resources(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {n: r for n, r in template["Resources"].items() if r["Type"] == kind}


def as_list(value: Any) -> list[Any]:
    """Return a list, also for a value that a policy gives alone."""
    return value if isinstance(value, list) else [value]


FAKE = '''#!{python} -IS
"""Answers as the AWS CLI would, from `answers.json`: for each operation a list, its last one for ever."""
import json, os, sys
sys.path.append({packages!r})
import jmespath

home = os.path.dirname(__file__)
with open(home + "/calls", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
with open(home + "/answers.json") as file:
    answers = json.load(file)
queue = answers.get(sys.argv[2], [{{}}])
answer = queue.pop(0) if len(queue) > 1 else queue[0]
with open(home + "/answers.json", "w") as file:
    json.dump(answers, file)
if isinstance(answer, str):
    sys.exit("\\nAn error occurred " + answer)
def option(name):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None
found = jmespath.search(option("--query"), answer) if option("--query") else answer
def word(value):
    return "None" if value is None else str(value)
if option("--output") != "text":
    print(json.dumps(found))
elif isinstance(found, list) and found and isinstance(found[0], list):
    for row in found:
        print("\\t".join(map(word, row)))
elif isinstance(found, list):
    print("\\t".join(map(word, found)))
else:
    print(word(found))
'''


class FakeAws:
    """An `aws` for the PATH that answers from a scenario; an answer that is text is an error of that text."""

    def __init__(self, folder: Path, answers: dict[str, Iterable[Any]]) -> None:
        self.folder = folder
        folder.mkdir()
        program = folder / "aws"
        program.write_text(FAKE.format(python=sys.executable, packages=PACKAGES))
        program.chmod(0o755)
        (folder / "answers.json").write_text(json.dumps({k: list(v) for k, v in answers.items()}))

    @property
    def calls(self) -> list[list[str]]:
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def operations(self) -> list[str]:
        return [call[1] for call in self.calls]

    def arguments(self, operation: str) -> list[str]:
        return next(call for call in self.calls if call[1] == operation)
