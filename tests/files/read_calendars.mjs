// Reads calendars as programs of other people do, with ical.js, and says what they would show.
// stdin: a JSON list of [calendar, first, last]; stdout: for each a list of [title, original, begin, end, time],
// all local but the last, which is in seconds since 1970 (null for all-day events).

import ICAL from "ical.js";

const seconds = (time) => (time.isDate ? null : time.toUnixTime());

function shown([text, first, last]) {
  ICAL.TimezoneService.reset();
  const calendar = new ICAL.Component(ICAL.parse(text));
  for (const zone of calendar.getAllSubcomponents("vtimezone")) ICAL.TimezoneService.register(zone);
  const events = calendar.getAllSubcomponents("vevent");
  const replacing = events.filter((event) => event.hasProperty("recurrence-id"));
  return events
    .filter((event) => !replacing.includes(event))
    .flatMap((component) => {
      const uid = component.getFirstPropertyValue("uid");
      const exceptions = replacing.filter((event) => event.getFirstPropertyValue("uid") === uid);
      const event = new ICAL.Event(component, { exceptions });
      return occurrences(event, last);
    })
    .filter(([, original]) => original >= first && original.slice(0, 10) <= last);
}

function occurrences(event, last) {
  const entry = (item, original, begin, end) =>
    [item.summary, original.toString(), begin.toString(), end.toString(), seconds(begin)];
  if (!event.isRecurring()) return [entry(event, event.startDate, event.startDate, event.endDate)];
  const found = [];
  const iterator = event.iterator();
  for (let next = iterator.next(); next && next.toString().slice(0, 10) <= last; next = iterator.next()) {
    const { item, recurrenceId, startDate, endDate } = event.getOccurrenceDetails(next);
    found.push(entry(item, recurrenceId, startDate, endDate));
  }
  return found;
}

let input = "";
for await (const piece of process.stdin.setEncoding("utf8")) input += piece;
process.stdout.write(JSON.stringify(JSON.parse(input).map(shown)));
