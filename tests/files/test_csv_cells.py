"""Cells that a spreadsheet would run as a formula."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from files.csv_cells import escape_cell, unescape_cell

SIGNS = "=+-@＝＋－＠\t\r"


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("before", ["", " ", "  ", '"', "'", "' \"", "\n", "\u3000", "\ufeff", "\n \u200b'"])
def test_a_cell_that_begins_like_a_formula_gets_an_apostrophe(before, sign):
    formula = f"{before}{sign}cmd|' /C calc'!A0"
    assert escape_cell(formula) == f"'{formula}"
    assert unescape_cell(f"'{formula}") == formula


@pytest.mark.parametrize("text", ["", "회의", "a=b", "3-4시", "'인용'", "'", "1+1", " 회의 =1"])
def test_other_text_stays_as_it_is(text):
    assert escape_cell(text) == text
    assert unescape_cell(text) == text


@given(st.text(st.sampled_from(SIGNS + " '\"\n회a1")) | st.text())
def test_every_text_is_read_back_and_none_is_written_as_a_formula(text):
    cell = escape_cell(text)
    assert unescape_cell(cell) == text
    assert cell.strip(" '\"\n")[:1] not in set(SIGNS) or cell.startswith("'")
