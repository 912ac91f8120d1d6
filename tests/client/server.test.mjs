// The client against the real server. After quiet, each test finds both equal.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { CalendarSync, Clock, Network, Server, Target, waitFor, Wire } from "./harness.mjs";

const QUICK = { reconnectionDelay: 20, reconnectionDelayMax: 100, transports: ["websocket"] };
const NOBODY = "805d0fbd-dd60-412e-a9e7-4097e872610f";
let server;

before(async () => {
  server = await Server.start();
});
after(() => server.end());

const byId = (events) => [...events].sort((a, b) => (a.id < b.id ? -1 : 1));

/** Wait until a department is live and holds what the server lists. */
async function equal(department, { on = server } = {}) {
  const list = await on.list(department.id);
  await waitFor(
    () => department.state === "live" && department.revision === list.revision,
    () => `revision ${list.revision}; it is ${department.state} at ${department.revision}`,
  );
  assert.deepEqual(byId(department.events.values()), byId(list.events));
}

/** A client of one department that stands where the server does, with everything around it. */
async function client(t, { events = 1, url, timing = {}, options = QUICK, on = server } = {}) {
  const id = await on.department();
  const first = [];
  for (let n = 0; n < events; n += 1) first.push(await on.create(id, `처음 ${n}`));
  const wire = new Wire();
  const clock = new Clock();
  const page = { window: new Target(), document: new Target() };
  const calendar = new CalendarSync(wire.io, { url: url ?? on.url, socketOptions: options, timing, clock, page });
  const department = calendar.department(id);
  const told = [];
  const states = [];
  department.on("change", (change) => told.push(change));
  department.on("state", ({ state }) => states.push(state));
  t.after(() => calendar.close());
  await equal(department, { on });
  return { id, first, wire, clock, page, calendar, department, told, states };
}

/** Follow a department from the first moment on. */
function follow(t, id, { url = server.url, options = QUICK } = {}) {
  const wire = new Wire();
  const calendar = new CalendarSync(wire.io, { url, socketOptions: options });
  const department = calendar.department(id);
  const told = [];
  department.on("change", (change) => told.push(change));
  t.after(() => calendar.close());
  return { wire, calendar, department, told };
}

async function network(t, on = server) {
  const between = await Network.to(on);
  t.after(() => between.close());
  return between;
}

/** Lose the next broadcast of that name. */
function lose(wire, lost) {
  wire.intercept = (name) => {
    if (name !== lost) return false;
    wire.intercept = null;
    return true;
  };
}

const revisions = (told) => told.flatMap(({ changes }) => changes.map(({ revision }) => revision));

test("the first load brings everything in one full answer", async (t) => {
  const { wire, told, states, department, calendar } = await client(t, { events: 3 });
  assert.equal(department.events.size, 3);
  assert.deepEqual(states, ["live"]);
  assert.deepEqual(told, [{ department_id: department.id, revision: 3, full: true, changes: [] }]);
  assert.deepEqual(wire.asked("join_department"), [{ department_id: department.id, parts: true }]);
  assert.deepEqual(wire.asked("sync_request"), [{ department_id: department.id, parts: true }]);
  assert.equal(calendar.state, "online");
});

test("it works over long polling, which then upgrades", async (t) => {
  const { id, department } = await client(t, { options: { reconnectionDelay: 20 } });
  await server.create(id);
  await equal(department);
});

test("a department without events is live at revision 0", async (t) => {
  const { department } = await client(t, { events: 0 });
  assert.deepEqual([department.revision, department.loaded], [0, true]);
});

test("creations, updates and deletions arrive live, without asking", async (t) => {
  const { id, first, wire, told, department } = await client(t);
  wire.forgetAll();
  told.length = 0;
  const created = await server.create(id);
  const updated = await server.update(created, "새 제목");
  await server.remove(first[0]);
  await equal(department);
  assert.deepEqual(told.flatMap(({ changes }) => changes), [
    { type: "event_created", revision: 2, event: created, previous: null, by: "", by_name: "" },
    { type: "event_updated", revision: 3, event: updated, previous: created, by: "", by_name: "" },
    {
      type: "event_deleted",
      revision: 4,
      event: { id: first[0].id, department_id: id, revision: 4 },
      previous: first[0],
      by: "",
      by_name: "",
    },
  ]);
  assert.deepEqual(wire.sent, []);
});

test("series and what replaces their occurrences are held with all their fields", async (t) => {
  const { id, department, told } = await client(t, { events: 0 });
  const body = {
    event_date: "2024-01-20",
    title: "주간",
    start_time: "14:00",
    end_date: "2024-01-21",
    location: "3층",
    rrule: "FREQ=WEEKLY;BYDAY=SA",
    exdates: ["2024-01-27"],
  };
  const { event: series } = await server.rest("POST", `/api/events/${id}`, body);
  const occurrence = `/api/events/${series.id}?occurrence=2024-02-03`;
  const { event: replacing } = await server.rest("PUT", occurrence, { title: "한 번만" });
  await equal(department);
  const held = department.events.get(series.id);
  assert.deepEqual(Object.fromEntries(Object.keys(body).map((name) => [name, held[name]])), body);
  assert.deepEqual(department.events.get(replacing.id), replacing);
  await server.rest("DELETE", occurrence);
  await equal(department);
  assert.deepEqual(department.events.get(series.id).exdates, ["2024-01-27", "2024-02-03"]);
  assert.deepEqual(revisions(told), [1, 2, 3, 4, 5]);
});

for (const lost of ["event_created", "event_updated", "event_deleted"]) {
  test(`a lost ${lost} is noticed at the next broadcast and recovered exactly`, async (t) => {
    const { id, first, wire, told, department } = await client(t, { events: 2 });
    told.length = 0;
    lose(wire, lost);
    await server.create(id, "하나");
    await server.update(first[0], "둘");
    await server.remove(first[1]);
    await server.create(id, "셋");
    await equal(department);
    assert.deepEqual(revisions(told), [3, 4, 5, 6]);
    assert.deepEqual(wire.of("sync_response").map(({ full }) => full), [true, false]);
  });
}

test("changes of kinds that the server or the client does not know are passed over", async (t) => {
  const { id, first, wire, told, department } = await client(t);
  told.length = 0;
  const others = [];
  wire.intercept = (name, payload) => {
    if (name !== "sync_response") return name.startsWith("event_"); // lost, so that a delta brings them
    others.push(...payload.changes.splice(1, 1)); // as of a kind that the server does not know
    payload.changes[1].type = "event_pinned";
    return false;
  };
  await server.update(first[0], "고친 것");
  const created = await server.create(id);
  await server.remove(created);
  wire.inject("department_heartbeat", { department_id: id, revision: 4 });
  await equal(department);
  assert.deepEqual(others.map(({ revision }) => revision), [3]);
  assert.deepEqual(revisions(told), [2]);
  wire.intercept = null;
  wire.forgetAll();
  await server.create(id);
  await equal(department);
  assert.deepEqual([revisions(told), wire.sent], [[2, 5], []]);
});

test("a flood with many holes ends equal, each change told once and in order", async (t) => {
  const { id, wire, told, department } = await client(t, { events: 0 });
  told.length = 0;
  let count = 0;
  wire.intercept = (name) => name === "event_created" && ++count % 3 === 0;
  await Promise.all(
    Array.from({ length: 6 }, async () => {
      for (let n = 0; n < 8; n += 1) await server.create(id);
    }),
  );
  wire.intercept = null;
  await server.create(id);
  await equal(department);
  assert.deepEqual(revisions(told), Array.from({ length: 49 }, (_, n) => n + 1));
  assert.equal(wire.of("sync_response").filter(({ full }) => full).length, 1);
});

test("duplicates are dropped", async (t) => {
  const { id, wire, told, department } = await client(t);
  wire.forgetAll();
  told.length = 0;
  wire.intercept = (name, _payload, deliver) => {
    if (!name.startsWith("event_")) return false;
    for (let n = 0; n < 3; n += 1) deliver();
    return true;
  };
  const event = await server.create(id);
  await server.remove(event);
  await equal(department);
  wire.inject("event_created", event); // long after its deletion
  await equal(department);
  assert.deepEqual(revisions(told), [2, 3]);
  assert.deepEqual(wire.sent, []);
});

test("broadcasts out of order end in the right order", async (t) => {
  const { id, wire, told, department } = await client(t);
  told.length = 0;
  const late = [];
  wire.intercept = (name, _payload, deliver) => name === "event_created" && late.push(deliver) > 0;
  await server.create(id, "둘");
  await server.create(id, "셋");
  await server.create(id, "넷");
  await waitFor(() => late.length === 3, "three broadcasts");
  wire.intercept = null;
  for (const deliver of [late[1], late[2], late[0]]) deliver();
  await equal(department);
  assert.deepEqual(revisions(told), [2, 3, 4]);
});

test("broadcasts during a sync are held until its answer, then applied", async (t) => {
  const { id, wire, told, department } = await client(t);
  told.length = 0;
  let answer = null;
  lose(wire, "event_created");
  await server.create(id, "잃은 것");
  await waitFor(() => wire.of("event_created").length === 1, "the lost broadcast");
  wire.intercept = (name, _payload, deliver) => name === "sync_response" && Boolean((answer = deliver));
  await server.create(id, "구멍");
  await waitFor(() => answer, "the answer");
  await server.create(id, "기다리는 것");
  await waitFor(() => wire.of("event_created").length === 3, "the broadcast that is to wait");
  assert.deepEqual([department.state, department.revision, told], ["syncing", 1, []]);
  wire.intercept = null;
  answer();
  await equal(department);
  assert.deepEqual(told.map(({ changes }) => changes.length), [2, 1]);
});

test("a cut connection comes back by its token with exactly what was missed", async (t) => {
  const between = await network(t);
  const { id, first, wire, told, states, department } = await client(t, { url: between.url });
  await server.create(id, "중계로 받은 것");
  await equal(department);
  const token = wire.of("sync_response")[0].sync_token;
  wire.forgetAll();
  told.length = states.length = 0;
  between.cut();
  await waitFor(() => department.state === "offline", "the loss to be noticed");
  const missed = await server.create(id, "놓친 것");
  await server.update(missed, "고친 것");
  await server.remove(first[0]);
  between.mend();
  await equal(department);
  assert.deepEqual(wire.asked("join_department"), [{ department_id: id, sync_token: token, parts: true }]);
  assert.deepEqual(wire.asked("sync_request"), []);
  assert.deepEqual(wire.of("sync_response").map(({ full }) => full), [false]);
  // The token stands before the change that came live, which the answer therefore repeats.
  assert.deepEqual(wire.of("sync_response")[0].changes.map(({ revision }) => revision), [2, 3, 4, 5]);
  assert.deepEqual(revisions(told), [3, 4, 5]);
  assert.deepEqual(states, ["offline", "syncing", "live"]);
});

test("a client cut off between joined_department and the changes receives them later", async (t) => {
  const between = await network(t);
  const { id, wire, department } = await client(t, { url: between.url });
  const token = wire.of("sync_response")[0].sync_token;
  between.cut();
  await waitFor(() => department.state === "offline");
  await server.create(id, "놓친 것");
  wire.forgetAll();
  wire.intercept = (name) => {
    if (name !== "sync_response") return false;
    wire.intercept = null;
    between.cut();
    return true;
  };
  between.mend();
  await waitFor(() => wire.intercept === null, "the second cut");
  await waitFor(() => department.state === "offline", "the second loss");
  between.mend();
  await equal(department);
  const join = { department_id: id, sync_token: token, parts: true };
  assert.deepEqual(wire.asked("join_department"), [join, join]);
});

test("a client cut off during the first load loads afterwards", async (t) => {
  const between = await network(t);
  const id = await server.department();
  await server.create(id);
  const wire = new Wire();
  wire.intercept = (name) => {
    if (name !== "sync_response") return false;
    wire.intercept = null;
    between.cut();
    setTimeout(() => between.mend(), 50);
    return true;
  };
  const calendar = new CalendarSync(wire.io, { url: between.url, socketOptions: QUICK });
  t.after(() => calendar.close());
  await equal(calendar.department(id));
  const join = { department_id: id, parts: true };
  assert.deepEqual(wire.asked("join_department"), [join, join]);
});

test("a restarted or killed server is found again, and what changed meanwhile", { timeout: 30_000 }, async (t) => {
  const own = await Server.start();
  t.after(() => own.end());
  const between = await network(t, own);
  const { id, wire, told, department, calendar } = await client(t, { url: between.url, on: own });
  const lost = [];
  calendar.on("state", ({ state }) => lost.push(state));
  for (const signal of ["SIGTERM", "SIGKILL"]) {
    lost.length = told.length = 0;
    const before = department.revision;
    wire.intercept = (name) => name === "event_created"; // committed, and the server ended before its push
    await own.create(id, "마지막");
    await own.down(signal);
    await waitFor(() => lost.includes("offline"), "the loss to be noticed");
    wire.intercept = null;
    wire.forgetAll();
    await own.up();
    await equal(department, { on: own });
    assert.deepEqual(revisions(told), [before + 1]);
    assert.deepEqual(wire.of("sync_response").map(({ full }) => full), [false]);
    await own.create(id, "다시 실시간");
    await equal(department, { on: own });
  }
});

test("a foreign or unreadable token brings everything anew", async (t) => {
  const between = await network(t);
  const { id, wire, told, department } = await client(t, { url: between.url });
  const foreign = (await server.list(await server.department())).sync_token;
  for (const token of [foreign, "garbage"]) {
    // The client's own token has become useless: what comes of a log that was rebuilt or cut off.
    wire.intercept = (name, payload) => {
      if (name === "sync_response") payload.sync_token = token;
      return false;
    };
    const [full] = wire.of("sync_response");
    wire.inject("sync_response", { ...full, ...(await server.list(id)), full: true });
    wire.intercept = null;
    between.cut();
    await waitFor(() => department.state === "offline");
    await server.create(id, "놓친 것");
    wire.forgetAll();
    told.length = 0;
    between.mend();
    await equal(department);
    assert.deepEqual(wire.asked("join_department"), [{ department_id: id, sync_token: token, parts: true }]);
    assert.deepEqual(wire.of("sync_response").map(({ full: all }) => all), [true]);
    assert.deepEqual(told.map(({ full: all }) => all), [true]);
  }
});

test("a full answer that nobody asked for replaces everything, and is asked about if it goes back", async (t) => {
  const { id, first, wire, told, department } = await client(t);
  told.length = 0;
  // As the server tells a room whose log was rebuilt; here it takes back an event that never was.
  wire.inject("event_created", { ...first[0], id: NOBODY, revision: 2 });
  assert.equal(department.events.size, 2);
  wire.forgetAll();
  const { events, revision, sync_token } = await server.list(id);
  wire.inject("sync_response", { department_id: id, full: true, events, revision, sync_token });
  await equal(department);
  assert.deepEqual(told.map(({ full }) => full), [false, true]);
  assert.deepEqual(wire.asked("sync_request"), [{ department_id: id, sync_token, parts: true }]);
});

test("two departments on one socket do not disturb each other", async (t) => {
  const { id, wire, department, calendar, told } = await client(t);
  const other = calendar.department((await server.department()).toUpperCase());
  await equal(other);
  assert.equal(calendar.department(other.id), other);
  told.length = 0;
  lose(wire, "event_created");
  await server.create(other.id, "잃은 것");
  await server.create(id, "여기");
  await server.create(other.id, "저기");
  await equal(other);
  await equal(department);
  assert.deepEqual([department.events.size, other.events.size], [2, 2]);
  assert.deepEqual(revisions(told), [2]);
  other.close();
  assert.equal(other.state, "closed");
  await waitFor(() => wire.of("left_department").length || wire.asked("leave_department").length);
  await server.create(other.id);
  await server.create(id);
  await equal(department);
  assert.equal(other.revision, 2);
  const again = calendar.department(other.id);
  assert.notEqual(again, other);
  await equal(again);
});

test("a heartbeat ahead of us finds a lost last broadcast", async (t) => {
  const { id, wire, told, department } = await client(t);
  told.length = 0;
  lose(wire, "event_created");
  await server.create(id);
  await waitFor(() => wire.of("event_created").length === 1, "the lost broadcast");
  wire.forgetAll();
  wire.inject("department_heartbeat", { department_id: id, revision: 1 });
  assert.deepEqual([wire.sent, department.state], [[], "live"]);
  wire.inject("department_heartbeat", { department_id: id, revision: 2 });
  assert.equal(department.state, "syncing");
  await equal(department);
  assert.deepEqual(revisions(told), [2]);
});

test("a long silence is asked about, and finds a lost last broadcast too", async (t) => {
  const timing = { tickMs: 15, silenceMs: 250, gapMs: 60_000 };
  const { id, wire, department } = await client(t, { timing });
  lose(wire, "event_created");
  await server.create(id);
  await equal(department);
  assert.equal(wire.of("event_created").length, 1);
});

test("a deleted department ends with a state, and others go on", async (t) => {
  const { id, first, wire, department, calendar } = await client(t);
  const other = calendar.department(await server.department());
  await equal(other);
  const states = [];
  department.on("state", (state) => states.push(state));
  await server.removeDepartment(id);
  await waitFor(() => department.state === "deleted", "the end");
  assert.deepEqual(states, [{ state: "deleted", previous: "live", error: null }]);
  assert.deepEqual([...department.events.values()], first);
  wire.forgetAll();
  await server.create(other.id);
  await equal(other);
  department.close();
  assert.deepEqual([department.state, wire.sent], ["deleted", []]);
});

test("a department that was deleted meanwhile ends too, and so does one that never existed", async (t) => {
  const between = await network(t);
  const { id, department, calendar } = await client(t, { url: between.url });
  const errors = [];
  calendar.on("error", (error) => error.error === "connect_failed" || errors.push(error));
  between.cut();
  await waitFor(() => department.state === "offline");
  await server.removeDepartment(id);
  between.mend();
  await waitFor(() => department.state === "deleted", "the end");
  assert.equal(department.error.error, "department_not_found");
  const nobody = calendar.department(NOBODY);
  await waitFor(() => nobody.state === "deleted", "the refusal");
  const wrong = calendar.department("x");
  await waitFor(() => wrong.state === "refused", "the refusal");
  assert.equal(wrong.error.error, "invalid_id");
  assert.deepEqual(
    errors.map((e) => [e.department_id, e.error, e.during, e.retryInMs]),
    [
      [id, "department_not_found", "join_department", null],
      [NOBODY, "department_not_found", "join_department", null],
      ["x", "invalid_id", "join_department", null],
    ],
  );
});

const WAKINGS = {
  "the wall clock jumping": ({ clock }) => clock.jump(3_600_000),
  "the page becoming visible": ({ page }) => page.document.fire("visibilitychange"),
  "the page being restored": ({ page }) => page.window.fire("pageshow", { persisted: true }),
  "the page being thawed": ({ page }) => page.document.fire("resume"),
  "the network being back": ({ page }) => page.window.fire("online"),
};

for (const [what, wakeBy] of Object.entries(WAKINGS)) {
  test(`after a sleep, ${what} replaces the dead connection at once`, async (t) => {
    const between = await network(t);
    const timing = { tickMs: 15, wakeMs: 150 };
    const { id, wire, department, ...rest } = await client(t, { url: between.url, timing });
    const errors = [];
    department.on("error", ({ error }) => errors.push(error));
    between.die();
    const missed = await server.create(id, "자는 동안");
    wire.forgetAll();
    assert.equal(department.state, "live"); // nothing has told it
    wakeBy(rest);
    await waitFor(() => department.events.has(missed.id), "what was missed", 2_000);
    await equal(department);
    assert.deepEqual(errors, ["timeout"]);
    assert.deepEqual(wire.of("sync_response").map(({ full }) => full), [false]);
  });
}

test("after a sleep that the connection survived, one question is enough", async (t) => {
  const { id, wire, clock, calendar, department } = await client(t, { timing: { tickMs: 15 } });
  const states = [];
  calendar.on("state", ({ state }) => states.push(state));
  lose(wire, "event_created");
  await server.create(id);
  await waitFor(() => wire.of("event_created").length === 1, "the lost broadcast");
  wire.forgetAll();
  clock.jump(3_600_000);
  await equal(department);
  assert.deepEqual([wire.asked("sync_request").length, states], [1, []]);
});

test("waking while offline does not wait for the next attempt", async (t) => {
  const between = await network(t);
  const options = { ...QUICK, reconnectionDelay: 60_000, reconnectionDelayMax: 60_000 };
  const { id, page, department } = await client(t, { url: between.url, options });
  between.cut();
  await waitFor(() => department.state === "offline");
  await server.create(id, "놓친 것");
  between.mend();
  page.window.fire("online");
  await equal(department);
});

test("a hidden page's waking waits until it is seen", async (t) => {
  const { wire, page, department } = await client(t);
  wire.forgetAll();
  page.document.visibilityState = "hidden";
  page.document.fire("visibilitychange");
  page.window.fire("pageshow", { persisted: false });
  assert.deepEqual(wire.sent, []);
  page.document.visibilityState = "visible";
  page.document.fire("visibilitychange");
  assert.equal(wire.asked("sync_request").length, 1);
  await equal(department);
});

test("a listener that throws harms nobody else", async (t) => {
  const { id, department, calendar } = await client(t);
  const thrown = [];
  const caught = (error) => thrown.push(error.message);
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException").on("uncaughtException", caught);
  t.after(() => {
    process.removeAllListeners("uncaughtException");
    for (const other of others) process.on("uncaughtException", other);
  });
  const stop = department.on("change", () => {
    throw new Error("a page's mistake");
  });
  await server.create(id);
  await equal(department);
  stop();
  await server.create(id);
  await equal(department);
  assert.deepEqual(thrown, ["a page's mistake"]);
  assert.equal(calendar.state, "online");
});

test("closing leaves nothing behind", async (t) => {
  const { clock, page, calendar, department, wire, id } = await client(t);
  calendar.close();
  calendar.close();
  assert.deepEqual([calendar.state, department.state], ["closed", "closed"]);
  assert.equal(clock.timers.size, 0);
  assert.deepEqual([page.window.listening, page.document.listening], [0, 0]);
  assert.equal(wire.socket.connected, false);
  wire.forgetAll();
  await server.create(id);
  calendar.wake();
  page.window.fire("online");
  assert.deepEqual([wire.sent, wire.socket.active, department.revision], [[], false, 1]);
  assert.throws(() => calendar.department(id), /closed/);
});

const partsOf = (wire) => wire.of("sync_response").map(({ part, parts }) => [part, parts]);
const allParts = (count) => Array.from({ length: count }, (_, n) => [n + 1, count]);

for (const transport of ["websocket", "polling"]) {
  test(`a large department comes in parts, and counts from the last on, over ${transport}`, async (t) => {
    const id = await server.largeDepartment();
    const { wire, department, told } = follow(t, id, { options: { transports: [transport] } });
    const held = new Set();
    wire.intercept = (name) => {
      if (name === "sync_response") held.add(department.events.size);
      return false;
    };
    await equal(department);
    const { parts } = wire.of("sync_response")[0];
    assert.ok(parts > 2);
    assert.deepEqual(partsOf(wire), allParts(parts));
    assert.deepEqual([...held], [0]);
    assert.deepEqual(told, [{ department_id: id, revision: 30, full: true, changes: [] }]);
  });
}

test("what is changed between two parts is applied after the last", async (t) => {
  const id = await server.largeDepartment();
  const { wire, department, told } = follow(t, id);
  const late = [];
  wire.intercept = (name, payload, deliver) =>
    name === "sync_response" && payload.part > 1 && late.push(deliver) > 0;
  await waitFor(() => wire.of("sync_response").length, "the first part");
  const [{ revision, parts }] = wire.of("sync_response");
  const created = await server.create(id, "사이에");
  await server.remove((await server.list(id)).events[0]);
  const broadcast = () => wire.of("event_deleted").length > 0;
  await waitFor(() => broadcast() && late.length === parts - 1, "all parts, and the broadcasts");
  assert.deepEqual([department.state, department.events.size, told], ["loading", 0, []]);
  wire.intercept = null;
  for (const deliver of late) deliver();
  await equal(department);
  assert.ok(department.events.has(created.id));
  assert.deepEqual([told[0].revision, told[0].full], [revision, true]);
  assert.deepEqual(revisions(told), [revision + 1, revision + 2]);
  assert.equal(wire.asked("sync_request").length, 1);
});

test("a client cut off between parts keeps what it had, and joins again with its old token", async (t) => {
  const id = await server.largeDepartment();
  const between = await network(t);
  const { wire, department, told } = follow(t, id, { url: between.url });
  wire.intercept = (name, payload) => {
    if (name === "sync_response" && payload.sync_token) payload.sync_token = "garbage"; // as of a log that is gone
    return false;
  };
  await equal(department);
  told.length = 0;
  between.cut();
  await waitFor(() => department.state === "offline", "the loss to be noticed");
  const created = await server.create(id, "놓친 것");
  wire.forgetAll();
  wire.intercept = (name, payload) => {
    if (name === "sync_response" && payload.part === 2) between.cut();
    return false;
  };
  between.mend();
  await waitFor(() => partsOf(wire).length >= 2, "two parts");
  await waitFor(() => department.state === "offline", "the second loss");
  assert.deepEqual([department.events.has(created.id), department.events.size, told], [false, 30, []]);
  wire.intercept = null;
  between.mend();
  await equal(department);
  const join = { department_id: id, sync_token: "garbage", parts: true };
  assert.deepEqual(wire.asked("join_department"), [join, join]);
  assert.deepEqual(told.map(({ full }) => full), [true]);
});

test("a department that is left between parts can be opened again at once", async (t) => {
  const id = await server.largeDepartment();
  const { wire, calendar, department } = follow(t, id);
  let again = null;
  wire.intercept = (name, payload) => {
    if (name !== "sync_response" || payload.part !== 2 || again) return false;
    department.close();
    again = calendar.department(id);
    return false;
  };
  await waitFor(() => again, "the second part");
  await equal(again);
  const { parts } = wire.of("sync_response")[0];
  assert.deepEqual(partsOf(wire), [...allParts(parts), ...allParts(parts)]);
  assert.deepEqual([department.state, department.events.size], ["closed", 0]);
});
