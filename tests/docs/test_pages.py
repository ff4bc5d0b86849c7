"""Pages: short enough to be read, and every file that they name is there."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
#: Folders in which code lies; a path of another first folder is a user's own.
FOLDERS = (
    "proto",
    "contract",
    "aisle_client",
    "tokenizer",
    "model",
    "catalog",
    "training",
    "retrieval",
    "server",
    "client",
    "benchmarks",
    "demo",
    "deploy",
)


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and pictures, but for other sites and places of the page itself."""
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    return [unquote(target.partition("#")[0]) for target in targets if not re.match(r"[a-z]+://|#", target)]


def section(page: Path, heading: str) -> str:
    """The text between a heading of the second level and the next."""
    parts = re.split(r"^## (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[heading]


def steps(heading: str) -> list[str]:
    """The file that each step of a numbered list in the architecture begins with."""
    return re.findall(r"^\d+\. `([\w/]+\.\w+)`:", section(ROOT / "docs/architecture.md", heading), re.MULTILINE)


@pytest.mark.parametrize(("page", "most"), [("README.md", 150), ("benchmarks/RESULTS.md", 200)])
def test_a_page_is_no_longer_than_a_person_reads(page: str, most: int) -> None:
    assert len((ROOT / page).read_text(encoding="utf-8").splitlines()) <= most


@pytest.mark.parametrize(
    "page",
    [*PAGES, ROOT / "benchmarks/RESULTS.md", ROOT / "deploy/README.md", ROOT / "CHANGELOG.md"],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_every_link_leads_to_a_file(page: Path) -> None:
    assert [target for target in links(page) if not (page.parent / target).exists()] == []


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "benchmarks/RESULTS.md", ROOT / "deploy/README.md"], ids=lambda page: page.name
)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`([\w./-]+/[\w./-]*)`", page.read_text(encoding="utf-8"))
    ours = {path for path in named if path.partition("/")[0] in FOLDERS}
    assert sorted(path for path in ours if not (ROOT / path).exists()) == []


def test_readme_leads_to_every_page() -> None:
    targets = {(ROOT / target).resolve() for target in links(ROOT / "README.md")}
    assert [page.name for page in PAGES[1:] if page not in targets] == []


@pytest.mark.parametrize(("heading", "most"), [("One `Classify` request", 9), ("One training row", 8)])
def test_a_request_and_a_row_pass_few_files(heading: str, most: int) -> None:
    found = steps(heading)
    numbers = re.findall(r"^(\d+)\. ", section(ROOT / "docs/architecture.md", heading), re.MULTILINE)
    assert 1 <= len(found) == len(numbers) <= most  # each step names its file
    assert len(set(found)) == len(found)


def test_every_dependency_has_a_licence() -> None:
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    named = {name for name, licence in re.findall(r"^\| ([\w-]+)[^|]*\|[^|]*\| ([^|]+) \|$", page, re.MULTILINE)}
    lines = [line for file in ROOT.glob("requirements*.txt") for line in file.read_text().splitlines()]
    wanted = {found[0] for line in lines if (found := re.match(r"[\w-]+", line)) and not line.startswith("-")}
    assert wanted
    assert sorted(wanted - named) == []
    assert sorted(named - wanted - {"package", "---"}) == []
