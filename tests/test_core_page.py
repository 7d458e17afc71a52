"""docs/core.md is what its module writes, and an hour's reading."""

import ast

import pytest

from tools.upkeep import core_page


def test_the_page_is_what_the_code_says_now():
    assert core_page.PAGE.read_text(encoding="utf-8") == core_page.page(), (
        "run: python -m tools.upkeep.core_page"
    )


def test_the_core_is_read_in_an_hour():
    assert core_page.core_lines() <= core_page.MOST_LINES


@pytest.mark.parametrize("place", [p for ps in core_page.PLACES.values() for p in ps])
def test_every_place_exists(place):
    path, line = core_page.locate(place)
    name = place.replace(":", ".").rsplit(".", 1)[-1]
    nearby = path.read_text(encoding="utf-8").splitlines()[line - 1 : line + 3]
    assert any(f"{word} {name}" in row for row in nearby for word in ("def", "class"))


def test_the_prior_on_the_page_is_a_prior():
    """The whole job with such a prior is run in test_pipeline."""
    from toolkit.prior import Prior

    code = core_page.NEW_PRIOR.split("```python")[1].split("```")[0]
    names = {}
    tree = ast.parse(code)
    tree.body = [node for node in tree.body if isinstance(node, ast.ImportFrom | ast.ClassDef)]
    exec(compile(tree, "docs/core.md", "exec"), names)
    assert isinstance(names["Smooth"](), Prior)
