"""The documentation site: built strictly, without the network, with every public name in it; links of other pages."""

import importlib
import inspect
import logging
import re
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from docs.tools.keras_docstrings import to_google
from docs.tools.reference_pages import missing_names, reference
from tests.conformance.test_public_api import PUBLIC

ROOT = Path(__file__).parents[2]
OTHER_PAGES = ("README.md", "CONTRIBUTING.md", "BUILD_NOTES.md", "CHANGELOG.md")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    logging.getLogger("mkdocs").setLevel(logging.WARNING)  # pytest keeps what is logged
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return folder


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50
    loaded = re.compile(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"?https?://[^>]*>")
    assert [found for page in pages for found in loaded.findall(page.read_text(encoding="utf-8"))] == []


def test_every_public_name_has_its_entry(site: Path) -> None:
    pages = reference()
    for module in PUBLIC:
        package = importlib.import_module(module)
        names = {name for name in package.__all__ if not inspect.ismodule(getattr(package, name))}
        assert names <= set(pages.get(module, [])), module
    assert missing_names(site) == []


def test_a_missing_entry_is_found(site: Path, tmp_path: Path) -> None:
    for page in (site / "reference").glob("*.html"):
        (tmp_path / "reference").mkdir(exist_ok=True)
        text = page.read_text(encoding="utf-8").replace('id="tfmtl.layers.MMoE"', "")
        (tmp_path / "reference" / page.name).write_text(text, encoding="utf-8")
    assert missing_names(tmp_path) == ["tfmtl.layers.MMoE"]


def test_the_search_knows_pages_and_names(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    assert (site / "search" / "search_index.js").is_file()  # for pages opened from the disk
    for text in ("tutorial.html", "reference/tfmtl.layers.html#tfmtl.layers.MMoE", "problem_file.html#a-label-window"):
        assert text in index


def test_a_broken_link_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# A page\n\n[to a section](#nowhere)\n", encoding="utf-8")
    (tmp_path / "mkdocs.yml").write_text("site_name: broken\nvalidation: {anchors: warn}\n", encoding="utf-8")
    with pytest.raises(Abort):
        build(load_config(str(tmp_path / "mkdocs.yml"), site_dir=str(tmp_path / "site"), strict=True))


def test_an_example_at_the_margin_becomes_code() -> None:
    arguments = "Args:\n    x: int. A number. Defaults to `1`."
    text = to_google(f"Adds.\n\n{arguments}\n\nExample:\n\n>>> 1 + 1\n2\n\nReference:\n    A paper.\n")
    assert text.splitlines()[3] == "    x (int): A number."
    assert "```pycon\n>>> 1 + 1\n2\n```" in text and "**Reference**\n\nA paper." in text


@pytest.mark.parametrize("page", OTHER_PAGES)
def test_links_of_pages_outside_the_site_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([\w./-]+)(?:#([\w-]+))?\)", text):
        assert (ROOT / target).exists(), f"{page} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", (ROOT / target).read_text(encoding="utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings]
            assert anchor in slugs, f"{page} links to {target}#{anchor}"
