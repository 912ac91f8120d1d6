// Failures and waiting, with a server that answers on command and a clock that is wound by hand.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { CalendarSync, TIMING } from "./harness.mjs";

const ID = "0b7c0f2e-3f0a-4d6f-9a43-0d8a4c3f4f10";

class HandClock {
  #now = 1_000_000;
  #timers = new Map();
  #last = 0;

  now = () => this.#now;
  setTimeout = (action, ms) => this.#add(action, ms);
  setInterval = (action, ms) => this.#add(action, ms, ms);
  clearTimeout = (timer) => this.#timers.delete(timer);
  clearInterval = (timer) => this.#timers.delete(timer);

  #add(action, ms, every = null) {
    this.#timers.set(++this.#last, { action, at: this.#now + ms, every });
    return this.#last;
  }

  /** Let time pass, every timer at its moment. */
  pass(ms) {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      const [timer, { action, at, every }] = due;
      this.#now = at;
      if (every) this.#timers.set(timer, { action, at: at + every, every });
      else this.#timers.delete(timer);
      action();
    }
    this.#now = end;
  }

  /** Let the wall clock go on while no timer runs, as in sleep. */
  sleep(ms) {
    this.#now += ms;
    for (const timer of this.#timers.values()) timer.at += ms;
  }

  get waiting() {
    return this.#timers.size;
  }
}

/** What the module uses of a socket.io-client socket. */
class HandSocket {
  connected = false;
  active = true;
  connects = 0;
  sent = [];
  #listeners = new Map();

  on(name, listener) {
    this.#listeners.set(name, listener);
  }

  emit(name, payload, acknowledge) {
    this.sent.push({ name, payload, acknowledge });
  }

  connect() {
    this.connects += 1;
    this.active = true;
  }

  disconnect() {
    this.active = false;
    if (this.connected) this.lose();
  }

  // The test's side

  tell(name, payload) {
    this.#listeners.get(name)(payload);
  }

  open(greeting = { message: "…" }) {
    this.connected = true;
    this.tell("connect");
    if (greeting) this.tell("connected", greeting);
  }

  lose({ hungUp = false } = {}) {
    this.connected = false;
    if (hungUp) this.active = false;
    this.tell("disconnect", "reason");
  }

  get last() {
    return this.sent.at(-1);
  }

  get names() {
    return this.sent.map(({ name }) => name);
  }

  refuse(error) {
    this.last.acknowledge({ success: false, error, message: "…", details: null });
  }

  join() {
    assert.equal(this.last.name, "join_department");
    this.last.acknowledge({ success: true, department_id: ID, revision: 99, sync_token: "not ours" });
  }

  /** Send parts of a full answer: `[part, parts, event ids]` each; the last has the token. */
  tellParts(revision, ...parts) {
    for (const [part, count, ids] of parts) {
      const events = ids.map((id) => ({ id, department_id: ID, revision }));
      const last = part === count && { sync_token: `t${revision}` };
      const numbers = { part, parts: count };
      this.tell("sync_response", { department_id: ID, full: true, ...numbers, events, revision, ...last });
    }
  }

  /** Answer the last message in full, in the server's order. */
  answer(revision, changes = null) {
    const { acknowledge } = this.last;
    const what = changes ? { full: false, changes } : { full: true, events: [] };
    this.tell("sync_response", { department_id: ID, ...what, revision, sync_token: `t${revision}` });
    acknowledge({ success: true });
  }
}

let clock, socket, calendar, department, errors;

beforeEach(() => {
  clock = new HandClock();
  socket = new HandSocket();
  calendar = new CalendarSync(() => socket, { clock, page: {} });
  department = calendar.department(ID);
  errors = [];
  calendar.on("error", (error) => errors.push(error));
});

function goLive(revision = 5, greeting = undefined) {
  socket.open(greeting);
  socket.join();
  socket.answer(revision);
  assert.equal(department.state, "live");
  socket.sent.length = 0;
}

const OFFER = { message: "…", features: ["parts"] };
const ids = () => [...department.events.keys()];

const created = (revision) => ({ id: `e${revision}`, department_id: ID, revision });
const change = (revision) => ({ type: "event_created", revision, event: created(revision) });

test("nothing is sent before the connection stands", () => {
  assert.deepEqual([socket.sent, department.state, calendar.state], [[], "loading", "connecting"]);
  goLive();
});

test("nothing is sent before the server has greeted, and one that never does is connected to again", () => {
  socket.open(null);
  clock.pass(TIMING.answerMs);
  assert.deepEqual([socket.sent, socket.connects, calendar.state], [[], 0, "connecting"]);
  clock.pass(TIMING.tickMs);
  assert.deepEqual([socket.sent, socket.connects], [[], 1]);
  goLive();
});

test("an unavailable store is asked again, ever more slowly, up to a limit", () => {
  socket.open();
  const delays = [];
  for (let n = 0; n < 12; n += 1) {
    assert.equal(socket.sent.length, n + 1);
    socket.refuse("store_unavailable");
    const { retryInMs } = errors.at(-1);
    delays.push(retryInMs);
    const longest = Math.min(TIMING.retryMs * 2 ** n, TIMING.retryMaxMs);
    assert.ok(longest / 2 <= retryInMs && retryInMs <= longest, `${n}: ${retryInMs}`);
    clock.pass(retryInMs - 1);
    assert.equal(socket.sent.length, n + 1);
    clock.pass(1);
  }
  assert.ok(new Set(delays.slice(6)).size > 1, "clients must not retry in step");
  assert.deepEqual([department.state, department.error.error], ["loading", "store_unavailable"]);
  socket.join();
  socket.answer(3);
  assert.deepEqual([department.state, department.error], ["live", null]);
  socket.tell("department_heartbeat", { department_id: ID, revision: 4 });
  socket.refuse("internal_error");
  assert.ok(errors.at(-1).retryInMs <= TIMING.retryMs, "success begins the series anew");
});

test("while a retry waits, broadcasts that fit are applied and holes do not hurry it", () => {
  goLive(5);
  socket.tell("event_created", created(8));
  assert.deepEqual(socket.names, ["sync_request"]);
  socket.tell("event_created", created(6));
  assert.equal(department.revision, 5);
  socket.refuse("store_unavailable");
  assert.equal(department.revision, 6);
  socket.tell("event_created", created(9));
  socket.tell("department_heartbeat", { department_id: ID, revision: 9 });
  assert.deepEqual([socket.names, department.state], [["sync_request"], "syncing"]);
  clock.pass(TIMING.retryMs);
  assert.equal(socket.sent.length, 2);
  socket.answer(9, [6, 7, 8, 9].map(change));
  assert.deepEqual([department.state, department.revision], ["live", 9]);
});

test("a refusal that a retry would not change is final until somebody asks for a new start", () => {
  socket.open();
  socket.refuse("validation_failed");
  assert.deepEqual([department.state, department.error.error], ["refused", "validation_failed"]);
  assert.equal(errors[0].retryInMs, null);
  clock.pass(3_600_000);
  assert.equal(socket.sent.length, 1);
  department = calendar.department(ID);
  assert.equal(socket.sent.length, 2);
  socket.join();
  socket.answer(1);
  assert.equal(department.state, "live");
});

test("an expired token is given up", () => {
  goLive(5);
  socket.tell("event_created", created(7));
  assert.deepEqual(socket.last.payload, { department_id: ID, sync_token: "t5" });
  socket.refuse("sync_token_expired");
  assert.deepEqual(socket.last.payload, { department_id: ID });
  socket.answer(7);
  assert.deepEqual([department.state, department.revision, errors], ["live", 7, []]);
});

test("a malformed delta leads to a full answer", () => {
  goLive(5);
  socket.tell("event_created", created(7));
  socket.answer(8, [change(8), change(7)]);
  assert.deepEqual([socket.last.payload, department.state], [{ department_id: ID }, "syncing"]);
  socket.answer(8);
  assert.deepEqual([department.state, department.revision, socket.sent.length], ["live", 8, 2]);
});

test("changes that the server does not know show as a hole, and one delta without them fills it", () => {
  goLive(5);
  socket.tell("event_created", created(8));
  socket.answer(8, [change(6), change(8)]);
  assert.deepEqual([department.state, department.revision, socket.sent.length], ["live", 8, 1]);
  assert.deepEqual([...department.events.keys()], ["e6", "e8"]);
});

test("a heartbeat that counts nothing but unknown changes is asked about once", () => {
  goLive(5);
  const told = [];
  department.on("change", (what) => told.push(what));
  const pinned = { type: "event_pinned", revision: 9, event: { id: "e" } };
  for (const [revision, changes] of [[7, []], [9, [pinned]]]) {
    socket.sent.length = 0;
    for (let n = 0; n < 3; n += 1) {
      socket.tell("department_heartbeat", { department_id: ID, revision });
      if (n === 0) socket.answer(revision, changes);
      clock.pass(30_000);
    }
    assert.deepEqual([department.state, department.revision, socket.sent.length], ["live", revision, 1]);
  }
  assert.deepEqual([told, department.events.size], [[], 0]);
});

test("a department that was rebuilt between the question and its delta is asked after anew", () => {
  goLive(5);
  socket.tell("event_created", created(7));
  const rebuilt = { department_id: ID, full: true, events: [created(3)], revision: 3, sync_token: "new" };
  socket.tell("sync_response", rebuilt);
  socket.answer(7, [6, 7].map(change));
  assert.deepEqual([socket.last.payload, department.state], [{ department_id: ID, sync_token: "new" }, "syncing"]);
  assert.deepEqual([...department.events.keys()], ["e3"]);
  socket.answer(4, [change(4)]);
  assert.deepEqual([department.state, department.revision, socket.sent.length], ["live", 4, 2]);
  assert.deepEqual([...department.events.keys()], ["e3", "e4"]);
});

test("a server whose answers are never enough is asked ever more slowly", () => {
  goLive(5);
  socket.tell("department_heartbeat", { department_id: ID, revision: 9 });
  const pauses = [];
  for (let n = 1; n <= 14; n += 1) {
    assert.equal(socket.sent.length, n);
    socket.answer(20, [change(20), change(19)]);
    let pause = 0;
    for (; socket.sent.length === n && pause <= TIMING.retryMaxMs; pause += 100) clock.pass(100);
    pauses.push(pause);
  }
  assert.deepEqual(pauses.slice(0, 4), [0, 0, 0, 0]);
  pauses.slice(4).forEach((pause, n) => {
    const longest = Math.min(TIMING.retryMs * 2 ** n, TIMING.retryMaxMs);
    assert.ok(longest / 2 <= pause && pause <= longest + 100, `${n}: ${pause}`);
  });
  socket.answer(20);
  assert.deepEqual([department.state, department.revision], ["live", 20]);
  socket.tell("event_created", created(22));
  socket.answer(22, [change(22), change(21)]);
  assert.equal(socket.sent.length, 17, "success begins the series anew");
});

test("the acknowledgement may overtake the answer", () => {
  socket.open();
  socket.join();
  socket.last.acknowledge({ success: true });
  assert.equal(department.state, "loading");
  socket.tell("sync_response", { department_id: ID, full: true, events: [], revision: 2, sync_token: "t2" });
  assert.equal(department.state, "live");
});

test("an answer alone does not end a sync: the server may be pushing what it had not read", () => {
  goLive(5);
  socket.tell("event_created", created(7));
  const answer = { department_id: ID, full: true, events: [], revision: 7, sync_token: "t7" };
  socket.tell("event_created", created(8));
  socket.tell("sync_response", answer);
  assert.deepEqual([department.state, department.revision], ["syncing", 7]);
  socket.last.acknowledge({ success: true });
  assert.deepEqual([department.state, department.revision], ["live", 8]);
});

test("a heartbeat during a sync that is beyond its answer is asked about", () => {
  goLive(5);
  socket.tell("event_created", created(7));
  socket.tell("department_heartbeat", { department_id: ID, revision: 8 });
  assert.equal(socket.sent.length, 1);
  socket.answer(7, [6, 7].map(change));
  assert.equal(socket.sent.length, 2);
  socket.answer(8, [8].map(change));
  assert.deepEqual([department.state, department.revision], ["live", 8]);
});

test("one hole is asked about once, however many broadcasts show it", () => {
  goLive(5);
  for (let revision = 7; revision < 20; revision += 1) socket.tell("event_created", created(revision));
  assert.equal(socket.sent.length, 1);
  socket.answer(19, Array.from({ length: 14 }, (_, n) => change(n + 6)));
  assert.deepEqual([department.state, department.revision, socket.sent.length], ["live", 19, 1]);
});

test("no answer at all means a dead connection, which is replaced", () => {
  goLive(5);
  socket.tell("event_created", created(7));
  const { acknowledge } = socket.last;
  clock.pass(TIMING.answerMs - 1);
  assert.equal(socket.connects, 0);
  clock.pass(1);
  assert.deepEqual([socket.connects, department.state, calendar.state], [1, "offline", "offline"]);
  assert.deepEqual(errors.map((e) => [e.error, e.during]), [["timeout", "sync_request"]]);
  socket.open();
  assert.deepEqual(socket.last.payload, { department_id: ID, sync_token: "t5" });
  acknowledge({ success: false, error: "validation_failed" }); // of the old connection
  assert.equal(department.state, "syncing");
  socket.answer(7, [6, 7].map(change));
  assert.equal(department.state, "live");
});

test("an answer that is slow to arrive is waited for twice as long each time, until it is here", () => {
  goLive(5);
  socket.tell("event_created", created(7));
  for (const ms of [15_000, 30_000, 60_000, 120_000, 240_000, 240_000].map((each) => each - TIMING.tickMs)) {
    const { connects } = socket;
    clock.pass(ms);
    assert.equal(socket.connects, connects);
    clock.pass(TIMING.tickMs);
    assert.equal(socket.connects, connects + 1);
    socket.open();
  }
  socket.answer(7, [6, 7].map(change));
  assert.equal(department.state, "live");
  socket.tell("event_created", created(9));
  const { connects } = socket;
  clock.pass(TIMING.answerMs);
  assert.equal(socket.connects, connects + 1);
});

test("a first load that is slow to arrive is waited for longer each time, too", () => {
  socket.open();
  for (const ms of [15_000, 30_000, 60_000]) {
    socket.join();
    const { connects } = socket;
    clock.pass(ms - 1);
    assert.deepEqual([socket.last.name, socket.connects], ["sync_request", connects]);
    clock.pass(1);
    assert.equal(socket.connects, connects + 1);
    socket.open();
  }
});

test("a question asked before a sleep times out soon after it", () => {
  goLive(5);
  socket.tell("event_created", created(7));
  clock.sleep(3_600_000);
  clock.pass(TIMING.tickMs);
  assert.equal(socket.sent.length, 1);
  clock.pass(TIMING.wakeMs);
  assert.equal(socket.connects, 1);
});

test("a short delay of timers is no sleep; a clock set back is one", () => {
  goLive();
  clock.sleep(TIMING.gapMs - 1);
  clock.pass(TIMING.tickMs);
  assert.deepEqual(socket.sent, []);
  clock.sleep(-60_000);
  clock.pass(TIMING.tickMs);
  assert.deepEqual(socket.names, ["sync_request"]);
});

test("a hidden page's slow timers are no sleep", () => {
  const document = Object.assign(new EventTarget(), { visibilityState: "hidden" });
  calendar.close();
  socket = new HandSocket();
  calendar = new CalendarSync(() => socket, { clock, page: { document } });
  department = calendar.department(ID);
  goLive();
  clock.sleep(60_000);
  clock.pass(TIMING.tickMs);
  assert.deepEqual(socket.sent, []);
  clock.sleep(TIMING.hiddenGapMs + 1);
  clock.pass(TIMING.tickMs);
  assert.deepEqual(socket.names, ["sync_request"]);
});

test("a silent department is asked about; a heartbeat ends the silence", () => {
  goLive();
  for (let n = 0; n < 10; n += 1) {
    clock.pass(30_000);
    socket.tell("department_heartbeat", { department_id: ID, revision: 5 });
  }
  assert.deepEqual(socket.sent, []);
  clock.pass(TIMING.silenceMs + TIMING.tickMs);
  assert.deepEqual(socket.names, ["sync_request"]);
  socket.answer(5, []);
  assert.equal(department.state, "live");
});

test("a server that hung up is connected to again, ever more slowly", () => {
  goLive();
  socket.lose({ hungUp: true });
  assert.equal(department.state, "offline");
  clock.pass(TIMING.retryMs);
  assert.equal(socket.connects, 1);
  socket.active = false;
  socket.tell("connect_error", new Error("refused"));
  assert.equal(errors.at(-1).error, "connect_failed");
  clock.pass(TIMING.retryMs - 1);
  assert.equal(socket.connects, 1);
  clock.pass(TIMING.retryMs + 1);
  assert.equal(socket.connects, 2);
  socket.open();
  assert.deepEqual(socket.last.payload, { department_id: ID, sync_token: "t5" });
});

test("a connection that socket.io-client retries by itself is left alone", () => {
  goLive();
  socket.lose();
  clock.pass(3_600_000);
  assert.equal(socket.connects, 0);
});

/** What a handshake is answered with that the server refuses, after which socket.io-client gives up. */
function refuseHandshake(code = "not_signed_in") {
  socket.active = false;
  const data = { success: false, error: code, message: "로그인이 필요합니다.", details: null };
  socket.tell("connect_error", Object.assign(new Error(data.message), { data }));
}

test("a refused handshake is not tried again until the page wakes the connection", () => {
  refuseHandshake();
  assert.deepEqual([calendar.state, department.state], ["refused", "offline"]);
  assert.deepEqual(errors, [{ error: "not_signed_in", message: "로그인이 필요합니다.", details: null }]);
  const another = calendar.department("another");
  assert.equal(another.state, "offline");
  another.close();
  clock.pass(3_600_000);
  assert.equal(socket.connects, 0);
  calendar.wake();
  assert.equal(socket.connects, 1);
  goLive();
  assert.equal(calendar.state, "online");
});

test("a session that ends while connected ends in a refusal, with what was held still there", () => {
  goLive();
  socket.tell("event_created", created(6));
  socket.lose({ hungUp: true });
  clock.pass(TIMING.retryMs);
  assert.equal(socket.connects, 1);
  refuseHandshake();
  clock.pass(3_600_000);
  assert.equal(socket.connects, 1);
  assert.deepEqual([calendar.state, department.state, ids()], ["refused", "offline", ["e6"]]);
});

for (const code of ["store_unavailable", "internal_error"]) {
  test(`a handshake that ${code} fails is tried again`, () => {
    refuseHandshake(code);
    assert.equal(calendar.state, "offline");
    clock.pass(TIMING.retryMs);
    assert.equal(socket.connects, 1);
  });
}

test("a role that is taken ends its department, and another role does not", () => {
  goLive();
  const told = [];
  calendar.on("access", (change) => told.push(change));
  socket.tell("access_changed", { department_id: ID, role: "reader" });
  assert.equal(department.state, "live");
  socket.tell("access_changed", { department_id: "another", role: "" });
  assert.equal(department.state, "live");
  socket.tell("access_changed", { department_id: ID, role: "" });
  assert.equal(department.state, "deleted");
  assert.deepEqual(told, [
    { department_id: ID, role: "reader" },
    { department_id: "another", role: "" },
    { department_id: ID, role: "" },
  ]);
  assert.deepEqual(socket.sent, []);
});

test("after a change of rights everywhere each department is asked after", () => {
  goLive();
  socket.tell("access_changed", { department_id: "", role: "" });
  assert.equal(department.state, "syncing");
  socket.refuse("department_not_found");
  assert.equal(department.state, "deleted");
});

test("waking leaves a young connection attempt alone, and replaces an old one", () => {
  calendar.wake();
  assert.equal(socket.connects, 0);
  clock.pass(TIMING.wakeMs + 1);
  calendar.wake();
  assert.equal(socket.connects, 1);
  calendar.wake();
  assert.equal(socket.connects, 1);
});

test("a department opened while offline says so", () => {
  goLive();
  socket.lose();
  assert.equal(calendar.department("another").state, "offline");
});

test("closed by a listener in the middle of anything, it stays closed", () => {
  for (const moment of ["change", "state", "error"]) {
    socket = new HandSocket();
    calendar = new CalendarSync(() => socket, { clock, page: {} });
    department = calendar.department(ID);
    goLive(5);
    department.on(moment, () => calendar.close());
    socket.tell("event_created", created(6));
    if (moment !== "change") socket.tell("event_created", created(8));
    if (moment === "error") clock.pass(TIMING.answerMs);
    assert.deepEqual([moment, department.state, calendar.state], [moment, "closed", "closed"]);
    const { connects, sent } = socket;
    const count = sent.length;
    clock.pass(3_600_000);
    assert.deepEqual([socket.connects, sent.length], [connects, count]);
  }
});

test("closing in the middle of everything leaves no timer", () => {
  goLive();
  socket.tell("event_created", created(9));
  calendar.close();
  assert.equal(clock.waiting, 0);
  calendar = new CalendarSync(() => (socket = new HandSocket()), { clock, page: {} });
  calendar.department(ID);
  socket.open();
  socket.refuse("store_unavailable");
  socket.lose({ hungUp: true });
  calendar.close();
  assert.equal(clock.waiting, 0);
});

test("parts are asked for from a server that offers them, and from no other", () => {
  goLive(5, OFFER);
  socket.tell("event_created", created(7));
  assert.deepEqual(socket.last.payload, { department_id: ID, sync_token: "t5", parts: true });
  socket.answer(7, [6, 7].map(change));
  for (const greeting of [OFFER, { message: "…" }, { features: ["another"] }, { features: [] }, OFFER]) {
    socket.lose();
    socket.open(greeting);
    const parts = greeting === OFFER ? { parts: true } : {};
    assert.deepEqual(socket.last.payload, { department_id: ID, sync_token: "t7", ...parts });
  }
  assert.deepEqual(socket.sent.map(({ name }) => name).slice(1), Array(5).fill("join_department"));
});

test("parts replace what is held all at once, when the last is here", () => {
  goLive(5, OFFER);
  socket.tell("event_created", created(6));
  const told = [];
  department.on("change", (what) => told.push(what));
  socket.tell("event_created", created(8));
  socket.tellParts(9, [1, 3, ["a", "b"]], [2, 3, ["c"]]);
  assert.deepEqual([ids(), department.revision, department.state, told], [["e6"], 6, "syncing", []]);
  socket.tellParts(9, [3, 3, ["d"]]);
  assert.deepEqual([ids(), department.revision], [["a", "b", "c", "d"], 9]);
  assert.deepEqual(told, [{ department_id: ID, revision: 9, full: true, changes: [] }]);
  socket.last.acknowledge({ success: true });
  assert.deepEqual([department.state, socket.sent.length], ["live", 1]);
  socket.tell("event_created", created(11));
  assert.equal(socket.last.payload.sync_token, "t9");
});

test("broadcasts between parts are held; after the last part the newer ones are applied", () => {
  socket.open(OFFER);
  socket.join();
  socket.tellParts(9, [1, 2, ["a"]]);
  for (const revision of [8, 9, 10]) socket.tell("event_created", created(revision));
  socket.last.acknowledge({ success: true });
  socket.tell("event_created", created(11));
  assert.deepEqual([ids(), department.state], [[], "loading"]);
  socket.tellParts(9, [2, 2, ["b"]]);
  assert.deepEqual([ids(), department.revision, department.state], [["a", "b", "e10", "e11"], 11, "live"]);
  assert.equal(socket.sent.length, 2);
});

test("a heartbeat between parts asks nothing until the last is here", () => {
  socket.open(OFFER);
  socket.join();
  socket.tellParts(9, [1, 2, ["a"]]);
  socket.tell("department_heartbeat", { department_id: ID, revision: 10 });
  assert.equal(socket.sent.length, 2);
  socket.tellParts(9, [2, 2, ["b"]]);
  socket.last.acknowledge({ success: true });
  assert.deepEqual(socket.last.payload, { department_id: ID, sync_token: "t9", parts: true });
  socket.answer(10, [change(10)]);
  assert.deepEqual([ids(), department.state], [["a", "b", "e10"], "live"]);
});

for (const acknowledged of ["before", "after"]) {
  test(`a full answer between parts ends them, with the acknowledgement ${acknowledged} it`, () => {
    goLive(5, OFFER);
    socket.tell("event_created", created(7));
    socket.tell("event_created", created(4)); // of the log that is replaced
    const { acknowledge } = socket.last;
    socket.tellParts(9, [1, 4, ["a"]], [2, 4, ["b"]]);
    if (acknowledged === "before") acknowledge({ success: true });
    const rebuilt = { department_id: ID, full: true, events: [created(3)], revision: 3, sync_token: "new" };
    socket.tell("sync_response", rebuilt);
    assert.deepEqual(ids(), ["e3"]);
    if (acknowledged === "after") acknowledge({ success: true });
    assert.equal(socket.last.payload.sync_token, "new");
    socket.tell("event_created", created(4));
    socket.tellParts(9, [3, 4, ["c"]]);
    assert.deepEqual([ids(), department.revision, department.state], [["e3"], 3, "syncing"]);
    socket.tellParts(9, [4, 4, ["d"]]);
    assert.deepEqual([ids(), department.revision], [["e3"], 3]);
    for (let n = 0; n < 2 && department.state !== "live"; n += 1) socket.answer(4, [change(4)]);
    assert.deepEqual([ids(), department.revision, department.state], [["e3", "e4"], 4, "live"]);
  });
}

test("parts that a lost connection leaves behind are thrown away, and the old token is sent again", () => {
  goLive(5, OFFER);
  socket.tell("event_created", created(7));
  socket.tellParts(9, [1, 2, ["a"]]);
  socket.lose();
  assert.deepEqual([ids(), department.revision, department.state], [[], 5, "offline"]);
  socket.open(OFFER);
  assert.deepEqual([socket.last.name, socket.last.payload.sync_token], ["join_department", "t5"]);
  socket.tellParts(9, [2, 2, ["b"]]);
  assert.deepEqual([ids(), department.revision], [[], 5]);
  socket.tellParts(10, [1, 2, ["c"]], [2, 2, ["d"]]);
  socket.last.acknowledge({ success: true });
  assert.deepEqual([ids(), department.revision, department.state], [["c", "d"], 10, "live"]);
});

test("a department that is deleted between parts ends, and the parts that follow change nothing", () => {
  goLive(5, OFFER);
  socket.tell("event_created", created(6));
  socket.tell("event_created", created(8));
  socket.tellParts(9, [1, 2, ["a"]]);
  socket.tell("department_deleted", { id: ID });
  socket.tellParts(9, [2, 2, ["b"]]);
  socket.last.acknowledge({ success: true });
  assert.deepEqual([ids(), department.state, clock.waiting], [["e6"], "deleted", 1]);
});

test("parts of before do not reach a department that was left and opened again", () => {
  socket.open(OFFER);
  socket.join();
  socket.tellParts(9, [1, 3, ["a"]]);
  department.close();
  department = calendar.department(ID);
  socket.tellParts(9, [2, 3, ["b"]], [3, 3, ["c"]]);
  assert.deepEqual([ids(), department.state], [[], "loading"]);
  socket.join();
  socket.tellParts(9, [1, 2, ["d"]], [2, 2, ["e"]]);
  socket.last.acknowledge({ success: true });
  assert.deepEqual([ids(), department.state, department.error], [["d", "e"], "live", null]);
});

test("an answer of before may reach a department that was left and opened again, and is not enough", () => {
  socket.open(OFFER);
  socket.join();
  department.close();
  department = calendar.department(ID);
  socket.tellParts(9, [1, 2, ["a"]], [2, 2, ["b"]]);
  assert.deepEqual([ids(), department.revision], [["a", "b"], 9]);
  socket.join();
  assert.deepEqual(socket.last.payload, { department_id: ID, sync_token: "t9", parts: true });
  socket.answer(10, [change(10)]); // of the moment in which nobody had joined
  assert.deepEqual([ids(), department.revision, department.state], [["a", "b", "e10"], 10, "live"]);
});

test("each part is waited for anew, also by departments that are next", () => {
  socket.open(OFFER);
  socket.join();
  const { acknowledge } = socket.last;
  const other = calendar.department("805d0fbd-dd60-412e-a9e7-4097e872610f");
  for (let part = 1; part <= 9; part += 1) {
    clock.pass(TIMING.answerMs - 1);
    socket.tellParts(9, [part, 9, [`e${part}`]]);
  }
  acknowledge({ success: true });
  assert.deepEqual([department.state, other.state, errors], ["live", "loading", []]);
  clock.pass(TIMING.answerMs);
  assert.deepEqual(errors.map((error) => [error.error, error.department_id]), [["timeout", other.id]]);
});

test("closing between parts leaves no timer", () => {
  socket.open(OFFER);
  socket.join();
  socket.tellParts(9, [1, 2, ["a"]]);
  calendar.close();
  socket.tellParts(9, [2, 2, ["b"]]);
  assert.deepEqual([clock.waiting, ids()], [0, []]);
});
