"""What the fine-tuning recipes must not do each in their own way."""

import re

import pytest
from conftest import RECIPES

SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in RECIPES.glob("*.py")}


def block(source: str, number: int) -> str:
    """The lines of a numbered block, with the recipe's own dataclasses under common names."""
    text = re.search(
        rf"\n *# {number}\. .*?\n(.*?)(?=\n *# {number + 1}\. |\ndef |\Z)", source, re.DOTALL
    )
    text = re.sub(r"\b(?!\w*Data|Model|Recipe)\w+Arguments\b", "TaskArguments", text[1])
    return re.sub(r"\b\w+DataArguments\b", "DataArguments", text).strip()


def test_every_recipe_has_the_six_blocks_in_order():
    for name, source in SOURCES.items():
        assert re.findall(r"\n *# (\d)\. ", source) == list("123456"), name
        assert len(source.splitlines()) <= 200, name


@pytest.mark.parametrize("number", [1, 5, 6])
def test_arguments_training_and_evaluation_are_the_same_in_all(number):
    assert len({block(source, number) for source in SOURCES.values()}) == 1


@pytest.mark.parametrize("number", [1, 5, 6])
def test_a_block_is_not_empty(number):
    assert len(block(SOURCES["doccls"], number).splitlines()) > 3
