"""The setup guides, and the shell blocks in them."""

import re
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(
    r"(?:^<!-- (?P<how>.+?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


WAYS = re.compile(r"run|run: asks|run: fresh account|run: server \d+|not run here: .+")


@dataclass
class Block:
    how: str
    text: str
    section: str
    """The number of the chapter it stands in."""


def blocks(path: Path) -> list[Block]:
    page = path.read_text()
    found = [m for m in BLOCK.finditer(page) if m["language"] in ("bash", "sh", "console", "")]
    for match in found:
        assert match["how"], f"{path.name}: does this block run? {match['text']}"
        assert WAYS.fullmatch(match["how"]), f"{path.name}: {match['how']}"
        assert match["language"] == "bash"

    def section(match: re.Match[str]) -> str:
        return (re.findall(r"^## (\d+)\.", page[: match.start()], re.MULTILINE) or [""])[-1]

    return [Block(m["how"], m["text"], section(m)) for m in found]
