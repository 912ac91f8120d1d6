"""What the setup guides say: the same in both languages, links that lead somewhere, computed costs."""

import re
from pathlib import Path

import pytest

from config import Settings
from errors import SetupError
from infrastructure.costs import LARGE, MIDDLE, SMALL
from infrastructure.guides import Block, blocks
from infrastructure.tools import INFRASTRUCTURE
from printed_guides import GUIDES, SETUP, SETUP_KO
from running import ROOT

PAGES = [*GUIDES, INFRASTRUCTURE / "README.md", ROOT / "SECURITY.md", *(ROOT / "docs").glob("*.md")]


def test_both_languages_have_the_same_commands() -> None:
    def bare(block: Block) -> tuple[str, str]:
        return block.how, re.sub(r" # .*", "", block.text)

    assert [bare(b) for b in blocks(SETUP)] == [bare(b) for b in blocks(SETUP_KO)]


def test_both_languages_have_the_same_sections() -> None:
    def sections(path: Path) -> list[str]:
        return re.findall(r"^(#+ (?:\d+|[a-d])\.)", path.read_text(), re.MULTILINE)

    assert sections(SETUP) == sections(SETUP_KO)
    assert len(sections(SETUP)) == 13 + 4


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        page = path.parent / name if name else path
        assert page.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in slugs, target


@pytest.mark.parametrize("path", [SETUP, SETUP_KO], ids=lambda path: path.name)
def test_the_costs_are_computed(path: Path) -> None:
    rows = [line for line in path.read_text().splitlines() if re.search(r"\$[\d.]+ \|$", line)]
    sizes = (SMALL, MIDDLE, LARGE)
    assert rows == [size.row(row.split("|")[1].strip()) for size, row in zip(sizes, rows, strict=True)]


def test_the_guide_names_every_error_it_should() -> None:
    for path in (SETUP, SETUP_KO):
        for name in (
            "NoCredentialsError",
            "ResourceNotFoundException",
            "ProvisionedThroughputExceededException",
            "ResourceInUseException",
        ):
            assert name in path.read_text()


@pytest.mark.parametrize("path", [SETUP, SETUP_KO], ids=lambda path: path.name)
@pytest.mark.parametrize(
    "decided", [{}, {"AUTH": "on"}], ids=["AUTH is not decided", "PUBLIC_URL is missing"]
)
def test_the_guide_explains_why_production_does_not_start(path: Path, decided: dict[str, str]) -> None:
    with pytest.raises(SetupError) as refused:
        Settings.from_env({"FLASK_ENV": "production", "SECRET_KEY": "only-for-this-test", **decided})
    explained = re.findall(r"^\| `(FLASK_ENV=production[^`]+)`", path.read_text(), re.MULTILINE)
    assert [sentence for sentence in explained if str(refused.value).startswith(sentence)]
