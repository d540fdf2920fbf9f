from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.engines import ENGINES
from infra.serving.problems import CODES
from infra.serving.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_project_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(there), f"{page.name} links to {target}"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_readme(name: str):
    assert f"`EVERYWEAR_{name.upper()}`" in README


def test_every_setting_of_the_readme_exists():
    named = set(re.findall(r"`EVERYWEAR_([A-Z_]+)`", README))
    assert named == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("code", sorted(set(CODES) - {"unauthorized"}))
def test_every_error_code_is_in_the_readme(code: str):
    assert f"`{code}`" in README


@pytest.mark.parametrize(("service", "engine"), [(s, e) for s, row in ENGINES.items() for e in row])
def test_every_engine_is_in_the_readme(service: str, engine: str):
    assert any(f"`{engine}`" in line for line in README.splitlines() if line.startswith("|"))


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"`make ([a-z]+)", page.read_text())) <= targets
