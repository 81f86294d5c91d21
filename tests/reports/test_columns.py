"""Columns for a terminal."""

from nlpbook_data.reports.columns import in_columns


def test_a_syllable_takes_two_cells_and_nothing_is_mark_up():
    rows = [["글", "1", "[red]가[/red]"], ["abc", "22"], []]
    assert in_columns(rows, right=[1]) == "글    1  [red]가[/red]\nabc  22\n"


def test_a_long_line_is_not_wrapped():
    assert in_columns([["가" * 400, "끝"]]) == "가" * 400 + "  끝"
