"""The pages of results say what the JSON files in docs/results say, and nothing measured beside."""

import importlib
import re

import pytest

from experiments import document
from toolkit.errors import InputError

NAMES = sorted(path.stem for path in document.NUMBERS.glob("*.json"))
PAGES = {
    p: p.read_text(encoding="utf-8")
    for p in (document.PAGE, document.DATASET_PAGE, document.EXPORT_PAGE, document.RELIABILITY_PAGE)
}
PROSE = {path: document.BLOCK.sub("", text) for path, text in PAGES.items()}


def blocks_of(text):
    return {m[2].split(" ")[0]: m[0] for m in document.BLOCK.finditer(text)}


@pytest.mark.parametrize("name", NAMES)
def test_the_page_holds_what_the_committed_numbers_give(name):
    tables = importlib.import_module(f"experiments.{name}").tables(document.read_numbers(name))
    (page,) = [text for text in PAGES.values() if name in blocks_of(text)]
    assert document.with_tables(page, name, tables) == page, (
        f"run: python -m experiments.{name} --table-only"
    )


@pytest.mark.parametrize("name", [n for n in NAMES if n in ("samplers", "strength")])
def test_the_long_tables_too(name):
    module = importlib.import_module(f"experiments.{name}")
    text = (document.NUMBERS / f"{name}.md").read_text(encoding="utf-8")
    assert module.report(document.read_numbers(name)) == text


def test_every_block_has_its_numbers_or_says_that_it_has_none():
    blocks = {name: block for text in PAGES.values() for name, block in blocks_of(text).items()}
    assert set(NAMES) <= set(blocks)
    assert all(document.UNMEASURED in blocks[name] for name in set(blocks) - set(NAMES))
    whole = "".join(PAGES.values())
    assert whole.count("<!-- table:") == whole.count(document.END) > len(NAMES)


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_no_figure_is_typed_by_hand(path):
    """Tables and decimal numbers stand only between marks."""
    prose = PROSE[path].replace("3 dB\nbelow the mean", "")
    assert "|---" not in prose
    assert not re.findall(r"\d\.\d|\d ?%|\d dB", prose)


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_pictures_and_pages_that_it_shows_exist(path):
    targets = re.findall(r"\]\(([^)#]+)\)", PROSE[path])
    assert targets and not [t for t in targets if not (path.parent / t).exists()]


# --- the module behind it ---

EMPTY = "a\n<!-- table: python -m experiments.x -->\nold\n<!-- end of table -->\nb\n"


def test_a_block_is_replaced_and_the_rest_is_kept():
    text = document.with_tables(EMPTY, "x", {"": "new\n"})
    assert text == EMPTY.replace("old", "new")
    assert document.with_tables(text, "x", {"": "new\n"}) == text


def test_parts_are_told_apart():
    page = EMPTY + EMPTY.replace("experiments.x", "experiments.x (part)")
    text = document.with_tables(page, "x", {"": "one\n", "part": "two\n"})
    assert text.index("one") < text.index("two") and "old" not in text


@pytest.mark.parametrize("tables", [{}, {"": "t\n", "more": "t\n"}, {"other": "t\n"}])
def test_a_table_without_a_block_or_a_block_without_a_table_is_an_error(tables):
    with pytest.raises(InputError, match="tables of x"):
        document.with_tables(EMPTY, "x", tables)


def test_missing_numbers_name_the_command():
    with pytest.raises(InputError, match="python -m experiments.nothing"):
        document.read_numbers("nothing")


def test_numbers_are_read_back_as_they_were_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(document, "NUMBERS", tmp_path)
    monkeypatch.setattr(document, "PAGE", tmp_path / "page.md")
    document.PAGE.write_text(EMPTY)
    monkeypatch.setattr(document.write_tables, "__defaults__", (document.PAGE,))
    tables = lambda n: {"": document.markdown_table(["", "dB"], [["a", f"{n['a']}"]])}  # noqa: E731
    document.publish("x", lambda: {"a": 1.234567}, tables, table_only=False)
    first = document.PAGE.read_text()
    assert "| a | 1.2346 |" in first and document.read_numbers("x") == {"a": 1.2346}
    document.publish("x", lambda: pytest.fail("measured"), tables, table_only=True)
    assert document.PAGE.read_text() == first
    document.publish("x", lambda: {"a": 2.0}, tables, table_only=False, out=tmp_path / "y.json")
    assert document.PAGE.read_text() == first and (tmp_path / "y.json").is_file()
