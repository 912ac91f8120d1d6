"""Random recurrence rules, as RRULE texts, and first dates."""

from datetime import date

from hypothesis import strategies as st

WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def listed(values, most=4):
    return st.lists(values, min_size=1, max_size=most).map(lambda chosen: ",".join(map(str, chosen)))


def signed(highest):
    return st.integers(-highest, highest).filter(bool)


def weekdays_of(ordinals):
    return listed(st.builds("{}{}".format, ordinals, st.sampled_from(WEEKDAYS)))


@st.composite
def rule_texts(draw, ends=True):
    """Texts that RFC 5545 allows; some match no date."""
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = {"BYMONTH": listed(st.integers(1, 12)), "BYDAY": listed(st.sampled_from(WEEKDAYS), 7)}
    if frequency != "WEEKLY":
        parts["BYMONTHDAY"] = listed(signed(31))
    if frequency == "YEARLY":
        parts |= {"BYYEARDAY": listed(signed(366)), "BYWEEKNO": listed(signed(53))}
    chosen = draw(st.lists(st.sampled_from(sorted(parts)), max_size=3, unique=True))
    if frequency in ("MONTHLY", "YEARLY") and "BYWEEKNO" not in chosen:
        in_months = frequency == "MONTHLY" or "BYMONTH" in chosen
        ordinals = signed(5 if in_months else 53)
        kinds = [parts["BYDAY"], weekdays_of(ordinals)]
        if in_months:
            kinds.append(weekdays_of(ordinals | st.just("")))
        parts["BYDAY"] = st.one_of(kinds)
    values = [f"FREQ={frequency}", *(f"{name}={draw(parts[name])}" for name in chosen)]
    if chosen and not (frequency == "WEEKLY" and "BYMONTH" in chosen) and draw(st.booleans()):
        values.append(f"BYSETPOS={draw(listed(signed(6)))}")
    if draw(st.booleans()):
        values.append(f"INTERVAL={draw(st.integers(1, 6) | st.integers(1, 500))}")
    if draw(st.booleans()):
        values.append(f"WKST={draw(st.sampled_from(WEEKDAYS))}")
    end = draw(st.sampled_from(["", "COUNT", "UNTIL"])) if ends else ""
    if end == "COUNT":
        values.append(f"COUNT={draw(st.integers(1, 300))}")
    if end == "UNTIL":
        values.append(f"UNTIL={draw(LATE_DATES):%Y%m%d}")
    return ";".join(draw(st.permutations(values)))


LATE_DATES = st.dates(date(9_940, 1, 1), date(9_975, 12, 31))
"""Late, because dateutil looks for a next date up to the year 9999 when a rule has none."""
