"""Dates as people and programs write them."""

import pytest

from text_dates import DateOrder, find_date_order, read_date_text

DAY, MONTH, UNKNOWN = DateOrder.DAY_FIRST, DateOrder.MONTH_FIRST, DateOrder.UNKNOWN


@pytest.mark.parametrize("order", DateOrder)
@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02",
        "2026/3/2",
        "2026.3.2",
        "2026. 3. 2.",
        "26.3.2",
        "'26.3.2",
        "26/3/2",
        "26년 3월 2일",
        "2026년 3월 2일",
        "2026년3월2일(월요일)",
        "2026년 3월 2일 월요일",
        "2026-03-02(월)",
        "2026-03-02\n(Mon)",
        "2026. 3. 2. 월",
        "2026년 3월 2일(일요일)",
        "2026-03-02 일요일",
        "２０２６．３．２",
        "2026–03–02",
        "20260302",
        "260302",
        "46083",
        " 2026-3-2 ",
    ],
)
def test_a_date_is_read_however_it_is_written(text, order):
    assert read_date_text(text, order) == ("2026-03-02", "")


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("2026-03-02 00:00:00", "00:00:00"),
        ("2026-03-02T14:00", "14:00"),
        ("2026. 3. 2. (월) 오후 2:00~3:00", "오후 2:00~3:00"),
        ("2026년 3월 2일 월 14:00", "14:00"),
        ("2026-03-02 14:00:00-15:00:00", "14:00:00-15:00:00"),
        ("2026-03-02 14:00-15:00", "14:00-15:00"),
        ("46083.5", "12:00"),
        ("46083.0", ""),
        ("3/2/2026 2:00:00 PM", "2:00:00 PM"),
    ],
)
def test_what_stands_behind_a_date_is_kept_apart(text, rest):
    assert read_date_text(text, MONTH) == ("2026-03-02", rest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "미정",
        "2026-02-30",
        "2026-13-01",
        "0000-01-01",
        "2026-3",
        "3월 2일",
        "3/2",
        "2026.3.2~3.4",
        "2026-03-02x",
        "2026-03-021",
        "20261340",
        "4608",
        "2026-03-02T05:00:00Z",
        "2026-03-02 05:00 UTC",
        "2026-03-02T14:00:00+09:00",
        "2026-03-02T14:00:00-05:00",
        "2026-03-02" + " " * 200,
    ],
)
def test_what_is_no_date_or_a_moment_in_another_zone_is_not_read(text):
    assert read_date_text(text) is None


@pytest.mark.parametrize(
    ("text", "order", "expected"),
    [
        ("3/2/2026", MONTH, "2026-03-02"),
        ("3/2/2026", DAY, "2026-02-03"),
        ("3/2/2026", UNKNOWN, None),
        ("3/3/2026", UNKNOWN, "2026-03-03"),
        ("3/25/2026", UNKNOWN, "2026-03-25"),
        ("25-3-2026", UNKNOWN, "2026-03-25"),
        ("3/2/26", MONTH, "2026-03-02"),
        ("03/02/26", MONTH, None),
        ("3/25/26", MONTH, "2026-03-25"),
        ("26/03/02", MONTH, "2026-03-02"),
        ("26/03/02", UNKNOWN, "2026-03-02"),
    ],
)
def test_a_date_that_may_be_one_of_two_days_is_read_only_if_its_order_is_known(text, order, expected):
    found = read_date_text(text, order)
    assert (found.date if found else None) == expected


@pytest.mark.parametrize(
    ("texts", "order"),
    [
        (["3/2/2026", "3/25/2026 2:00 PM", ""], MONTH),
        (["3/2/2026", "25/3/2026"], DAY),
        (["3/25/2026", "25/3/2026"], UNKNOWN),
        (["3/2/2026", "2026-03-25"], None),
        ([], None),
    ],
)
def test_one_clear_date_shows_the_order_of_the_others(texts, order):
    for otherwise in DateOrder:
        assert find_date_order(texts, otherwise) == (order or otherwise)
