"""Nobody can be recognised among fewer than five, not even by subtraction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.certificates.small_numbers import LEAST, linked, merged, tells, told

COUNTS = st.dictionaries(
    st.sampled_from("abcdefgh"), st.integers(0, 12) | st.integers(0, 10_000), max_size=8
)


@given(COUNTS)
def test_every_name_is_told_once_and_no_small_number_ever(counts: dict[str, int]) -> None:
    cells = merged(counts)
    names = [name for cell in cells for name in cell.names]
    assert sorted(names) == sorted(name for name, count in counts.items() if count)
    for cell in cells:
        true = sum(counts[name] for name in cell.names)
        if cell.count is None:
            assert 0 < true < LEAST
        else:
            assert cell.count == true >= LEAST


@given(COUNTS)
def test_no_small_number_follows_from_the_total(counts: dict[str, int]) -> None:
    cells, total = merged(counts), sum(counts.values())
    for cell in cells:
        if any(0 < counts[name] < LEAST for name in cell.names):
            # alone it would be the total less all the others, unless the total is hidden, too
            assert len(cell.names) > 1 or told(total) is None
        else:
            assert len(cell.names) == 1 or any(counts[name] >= LEAST for name in cell.names)


@given(COUNTS)
def test_no_more_is_merged_than_has_to_be(counts: dict[str, int]) -> None:
    """A naive twin: numbers that aren't small stay by themselves if all small ones are enough."""
    small = [count for count in counts.values() if 0 < count < LEAST]
    if len(small) != 1 and (not small or sum(small) >= LEAST):
        alone = {cell.names[0] for cell in merged(counts) if len(cell.names) == 1}
        assert alone == {name for name, count in counts.items() if count >= LEAST}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, []),
        ({"a": 0}, []),
        ({"a": 5}, [("a", 5)]),
        ({"a": 4}, [("a", None)]),
        ({"a": 20, "b": 4}, [("ab", 24)]),
        ({"a": 20, "b": 7, "c": 4}, [("a", 20), ("bc", 11)]),
        ({"a": 2, "b": 2}, [("ab", None)]),
        ({"a": 3, "b": 20, "c": 2}, [("b", 20), ("ac", 5)]),
        ({"a": 2, "b": 20, "c": 2}, [("abc", 24)]),
    ],
)
def test_what_is_merged_with_what(counts: dict[str, int], expected: list[tuple[str, int]]) -> None:
    assert [("".join(cell.names), cell.count) for cell in merged(counts)] == expected


def test_single_counts_and_nonsense() -> None:
    assert [told(count) for count in (0, 1, 4, 5)] == [0, None, None, 5]
    for wrong in (lambda: told(-1), lambda: merged({"a": -1})):
        with pytest.raises(ValueError, match="fewer than 0"):
            wrong()


A, B = frozenset("a"), frozenset("b")


@given(st.integers(0, 20), COUNTS, COUNTS)
def test_what_one_table_keeps_back_does_not_follow_from_another(
    same: int, first: dict[str, int], second: dict[str, int]
) -> None:
    """The part that both count is told by both, by none, or it is all there is."""
    one = {**{name: first[name] for name in first if name != "a"}, "a": same}
    two = {**{name: second[name] for name in second if name != "b"}, "b": same}
    cells = linked({"one": one, "two": two}, [(("one", A), ("two", B))])
    whole = same in (sum(one.values()), sum(two.values()))
    assert whole or tells(cells["one"], A) == tells(cells["two"], B)
    for table, counts in (("one", one), ("two", two)):
        for cell in cells[table]:
            true = sum(counts[name] for name in cell.names)
            assert cell.count == (None if true < LEAST else true)


def test_the_rest_of_a_merged_cell_is_not_had_by_subtraction() -> None:
    tables = {
        "outcomes": {"certified": 20, "open": 6},
        "flow": {"closed-early": 17, "received": 6, "closed": 3},
    }
    links = [(("outcomes", frozenset({"open"})), ("flow", frozenset({"received"})))]
    cells = linked(tables, links)
    assert not tells(cells["flow"], {"received"})
    assert not tells(cells["outcomes"], {"open"})
