// The revision rule alone: no socket, no server, no clock.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Replica } from "./harness.mjs";

const event = (id, revision, title = `${id} at ${revision}`) => ({ id, department_id: "d", title, revision });
const gone = (id, revision) => ({ id, department_id: "d", revision });
const NOBODY = { by: "", by_name: "" };
const change = (type, subject, by = NOBODY) => ({ type, revision: subject.revision, event: subject, ...by });
const full = (revision, ...events) => ({ full: true, events, revision, sync_token: `t${revision}` });
const delta = (revision, ...changes) => ({ full: false, changes, revision, sync_token: `t${revision}` });
const part = (number, parts, revision, ...events) => ({
  full: true, part: number, parts, events, revision, ...(number === parts && { sync_token: `t${revision}` }),
});
const NOTHING = { changes: [], full: false, hole: false };

function loaded(revision, ...events) {
  const replica = new Replica();
  replica.answer(full(revision, ...events));
  return replica;
}

/** Ask with the token and take the answer. */
function ask(replica, response) {
  replica.beginSync();
  const outcome = replica.answer(response);
  replica.endSync();
  return outcome;
}

const held = (replica) => Object.fromEntries([...replica.events].map(([id, { revision }]) => [id, revision]));

test("the next revision is applied: created, updated, deleted", () => {
  const replica = loaded(0);
  const created = event("a", 1);
  assert.deepEqual(replica.broadcast("event_created", created), {
    changes: [{ type: "event_created", revision: 1, event: created, previous: null, ...NOBODY }],
    full: false,
    hole: false,
  });
  const updated = event("a", 2, "new");
  assert.deepEqual(replica.broadcast("event_updated", updated).changes[0].previous, created);
  assert.deepEqual(replica.events.get("a"), updated);
  assert.deepEqual(replica.broadcast("event_deleted", gone("a", 3)).changes[0].previous, updated);
  assert.deepEqual([replica.events.size, replica.revision], [0, 3]);
});

test("who made a change is told with it, and is no field of the event that is held", () => {
  const replica = loaded(0);
  const kim = { by: "k", by_name: "김" };
  const [created, updated] = [event("a", 1), event("a", 2)];
  const told = { type: "event_created", revision: 1, event: created, previous: null, ...kim };
  assert.deepEqual(replica.broadcast("event_created", { ...created, ...kim }).changes, [told]);
  assert.deepEqual(replica.events.get("a"), created);
  const outcome = ask(replica, delta(2, change("event_updated", updated, kim)));
  assert.deepEqual(outcome.changes, [{ ...told, type: "event_updated", revision: 2, event: updated, previous: created }]);
  assert.deepEqual(replica.events.get("a"), updated);
});

test("a revision that is known is dropped, whatever it says", () => {
  const replica = loaded(3, event("a", 3));
  for (const revision of [1, 2, 3]) {
    const outcome = replica.broadcast("event_deleted", gone("a", revision));
    assert.deepEqual(outcome, { changes: [], full: false, hole: false });
  }
  assert.deepEqual(held(replica), { a: 3 });
});

test("a revision too high is a hole and changes nothing", () => {
  const replica = loaded(1);
  assert.deepEqual(replica.broadcast("event_created", event("a", 3)), { changes: [], full: false, hole: true });
  assert.deepEqual([replica.events.size, replica.revision], [0, 1]);
});

test("a broadcast without a usable revision is a hole", () => {
  for (const revision of [undefined, null, "x", 1.5, Number.NaN]) {
    const replica = loaded(1);
    assert.equal(replica.broadcast("event_created", { id: "a", revision }).changes.length, 0);
    assert.equal(replica.revision, 1);
  }
});

test("before the first load nothing can be applied", () => {
  const replica = new Replica();
  assert.equal(replica.broadcast("event_created", event("a", 0)).hole, true);
  assert.equal(ask(replica, delta(1, change("event_created", event("a", 1)))).hole, true);
  assert.deepEqual([replica.loaded, replica.events.size, replica.token], [false, 0, ""]);
});

test("while a sync is under way broadcasts are held, then put to the rule", () => {
  const replica = loaded(1);
  replica.beginSync();
  for (const revision of [2, 3, 4]) {
    assert.deepEqual(replica.broadcast("event_created", event(`e${revision}`, revision)).changes, []);
  }
  assert.equal(replica.revision, 1);
  replica.answer(delta(3, change("event_created", event("e2", 2)), change("event_created", event("e3", 3))));
  const { changes, hole } = replica.endSync();
  assert.deepEqual([changes.map((c) => c.revision), hole], [[4], false]);
  assert.deepEqual(held(replica), { e2: 2, e3: 3, e4: 4 });
});

test("a hole in what was held is a hole", () => {
  const replica = loaded(1);
  replica.beginSync();
  replica.broadcast("event_created", event("e3", 3));
  assert.deepEqual(replica.endSync(), { changes: [], full: false, hole: true });
});

test("asking again forgets what was held, which the answer will contain", () => {
  const replica = loaded(1);
  replica.beginSync();
  replica.broadcast("event_created", event("e9", 9)); // of a history that was rebuilt meanwhile
  replica.beginSync();
  replica.answer(full(3));
  assert.equal(replica.endSync().hole, false);
});

test("a delta repeats what broadcasts brought, and that is harmless", () => {
  const replica = loaded(1, event("a", 1));
  replica.broadcast("event_updated", event("a", 2));
  replica.broadcast("event_deleted", gone("a", 3));
  const outcome = ask(
    replica,
    delta(
      4,
      change("event_updated", event("a", 2)),
      change("event_deleted", gone("a", 3)),
      change("event_created", event("b", 4)),
    ),
  );
  assert.deepEqual(outcome.changes.map((c) => c.revision), [4]);
  assert.deepEqual([held(replica), replica.token], [{ b: 4 }, "t4"]);
});

test("broadcasts do not move the token; answers do", () => {
  const replica = loaded(1);
  replica.broadcast("event_created", event("a", 2));
  assert.equal(replica.token, "t1");
  ask(replica, delta(2, change("event_created", event("a", 2))));
  assert.equal(replica.token, "t2");
});

test("a delta is complete though the server left revisions out of it", () => {
  const replica = loaded(1, event("a", 1));
  const changes = [change("event_updated", event("a", 3)), change("event_created", event("b", 6))];
  const outcome = ask(replica, delta(8, ...changes));
  assert.deepEqual([outcome.changes.map((c) => c.revision), outcome.hole], [[3, 6], false]);
  assert.deepEqual([held(replica), replica.revision, replica.token], [{ a: 3, b: 6 }, 8, "t8"]);
  assert.equal(replica.broadcast("event_deleted", gone("a", 9)).hole, false);
});

test("a delta without changes moves the revision and the token", () => {
  const replica = loaded(1, event("a", 1));
  assert.deepEqual(ask(replica, delta(4)), { changes: [], full: false, hole: false });
  assert.deepEqual([held(replica), replica.revision, replica.token], [{ a: 1 }, 4, "t4"]);
});

test("a change of an unknown kind moves the revision and no event, and nobody is told of it", () => {
  for (const subject of [event("a", 2), gone("a", 2), undefined]) {
    const replica = loaded(1, event("a", 1));
    const unknown = { type: "event_pinned", revision: 2, event: subject };
    const outcome = ask(replica, delta(3, unknown, change("event_created", event("b", 3))));
    assert.deepEqual([outcome.changes.map((c) => c.revision), outcome.hole], [[3], false]);
    assert.deepEqual([held(replica), replica.revision], [{ a: 1, b: 3 }, 3]);
    assert.deepEqual(ask(replica, delta(4, { ...unknown, revision: 4 })).changes, []);
    assert.deepEqual([held(replica), replica.revision, replica.token], [{ a: 1, b: 3 }, 4, "t4"]);
  }
});

test("a delta behind what broadcasts brought goes back in nothing", () => {
  const replica = loaded(1);
  for (const revision of [2, 3]) replica.broadcast("event_created", event(`e${revision}`, revision));
  assert.equal(ask(replica, delta(2, change("event_created", event("e2", 2)))).hole, false);
  assert.deepEqual([held(replica), replica.revision, replica.token], [{ e2: 2, e3: 3 }, 3, "t2"]);
});

test("a delta does not fit after a full answer that came in between, and the full answer's token is kept", () => {
  for (const between of [2, 5, 9]) {
    const replica = loaded(5, event("a", 5));
    replica.beginSync();
    replica.answer({ ...full(between, event("z", between)), sync_token: `new epoch ${between}` });
    const outcome = replica.answer(delta(7, change("event_created", event("b", 6))));
    assert.deepEqual(outcome, { changes: [], full: false, hole: true });
    assert.deepEqual([held(replica), replica.revision], [{ z: between }, between]);
    assert.equal(replica.token, `new epoch ${between}`);
  }
});

test("a delta that nobody asked for is a hole", () => {
  const replica = loaded(1);
  const late = delta(2, change("event_created", event("a", 2)));
  assert.deepEqual(replica.answer(late), { changes: [], full: false, hole: true });
  ask(replica, delta(1));
  assert.equal(replica.answer(late).hole, true);
  assert.deepEqual([replica.events.size, replica.revision, replica.token], [0, 1, "t1"]);
});

test("broadcasts that were held before the history went back are not laid over it", () => {
  const replica = loaded(5);
  replica.beginSync();
  replica.broadcast("event_created", event("old", 3));
  assert.equal(replica.answer(full(2)).hole, true);
  assert.deepEqual(replica.endSync().changes, []);
  assert.deepEqual([replica.events.size, replica.revision], [0, 2]);
});

test("a malformed delta changes nothing and makes the next answer a full one", () => {
  const created = (revision) => change("event_created", event("a", revision));
  const malformed = [
    delta(3, created(3), created(2)),
    delta(3, created(2), created(2)),
    delta(3, created(2), created(4)),
    delta(3, created(2), change("event_deleted", { revision: 3 })),
    delta(3, { type: "event_created", revision: 2 }),
    delta(3, { type: "event_pinned", revision: "2" }),
    delta(3, { type: "event_pinned" }),
    delta(3, null),
    { ...delta(3), changes: undefined },
    { ...delta(3), changes: {} },
    { ...delta(3), revision: undefined },
    { ...delta(3), revision: "3" },
  ];
  for (const response of malformed) {
    const replica = loaded(1);
    assert.deepEqual(ask(replica, response), { changes: [], full: false, hole: true });
    assert.deepEqual([replica.token, replica.revision, replica.events.size], ["", 1, 0]);
  }
});

test("a full answer replaces everything, and says so when it goes back", () => {
  const replica = loaded(5, event("a", 4), event("b", 5));
  assert.deepEqual(replica.answer(full(7, event("c", 7))), { changes: [], full: true, hole: false });
  assert.deepEqual([held(replica), replica.revision, replica.token], [{ c: 7 }, 7, "t7"]);
  assert.equal(replica.answer(full(2, event("d", 2))).hole, true);
  assert.deepEqual([held(replica), replica.revision, replica.token], [{ d: 2 }, 2, "t2"]);
});

test("only revisions above its own are missing", () => {
  const replica = loaded(5);
  assert.deepEqual([4, 5, 6].map((revision) => replica.lacks(revision)), [false, false, true]);
});

test("parts replace everything with the last of them", () => {
  const replica = loaded(5, event("z", 5));
  assert.deepEqual(replica.answer(part(1, 3, 9, event("a", 1), event("b", 2))), NOTHING);
  assert.deepEqual(replica.answer(part(2, 3, 9, event("c", 9))), NOTHING);
  assert.deepEqual([held(replica), replica.revision, replica.token], [{ z: 5 }, 5, "t5"]);
  assert.deepEqual(replica.answer(part(3, 3, 9, event("d", 4))), { changes: [], full: true, hole: false });
  assert.deepEqual([held(replica), replica.revision, replica.token], [{ a: 1, b: 2, c: 9, d: 4 }, 9, "t9"]);
});

test("a first part begins anew", () => {
  const replica = new Replica();
  replica.answer(part(1, 3, 5, event("a", 1)));
  replica.answer(part(2, 3, 5, event("b", 2)));
  replica.answer(part(1, 2, 6, event("c", 6)));
  assert.equal(replica.answer(part(2, 2, 6, event("d", 4))).full, true);
  assert.deepEqual(held(replica), { c: 6, d: 4 });
});

test("parts that do not follow each other change nothing, and the last of them is a hole", () => {
  const wrong = [
    [part(3, 3, 9)],
    [part(2, 3, 9), part(3, 3, 9)],
    [part(1, 3, 9), part(3, 3, 9)],
    [part(1, 3, 9), part(2, 3, 9), part(2, 3, 9), part(3, 3, 9)],
    [part(1, 3, 9), part(2, 3, 8), part(3, 3, 9)],
    [part(1, 2, 9), part(2, 2, 8)],
  ];
  for (const parts of wrong) {
    const replica = loaded(5, event("z", 5));
    const outcomes = parts.map((each) => replica.answer(each));
    assert.deepEqual(outcomes.pop(), { changes: [], full: false, hole: true });
    for (const outcome of outcomes) assert.deepEqual(outcome, NOTHING);
    assert.deepEqual([held(replica), replica.revision, replica.token], [{ z: 5 }, 5, "t5"]);
  }
});

test("parts that go back say so", () => {
  const replica = loaded(5, event("z", 5));
  replica.answer(part(1, 2, 2, event("a", 1)));
  assert.deepEqual(replica.answer(part(2, 2, 2, event("b", 2))), { changes: [], full: true, hole: true });
  assert.deepEqual([held(replica), replica.revision, replica.token], [{ a: 1, b: 2 }, 2, "t2"]);
});

test("a full answer between parts ends them and what was held before it, not what came after it", () => {
  const replica = loaded(5);
  replica.beginSync();
  replica.answer(part(1, 3, 9, event("a", 9)));
  replica.broadcast("event_created", event("old", 8)); // of a log that is rebuilt up to 7
  replica.answer(full(7, event("z", 7)));
  replica.broadcast("event_created", event("new", 8));
  assert.deepEqual(replica.answer(part(2, 3, 9, event("b", 9))), NOTHING);
  assert.deepEqual(replica.answer(part(3, 3, 9, event("c", 9))), { changes: [], full: false, hole: true });
  assert.deepEqual(replica.endSync().changes.map((c) => c.event.id), ["new"]);
  assert.deepEqual(held(replica), { z: 7, new: 8 });
});

test("the end of a sync throws parts away", () => {
  const replica = loaded(5);
  replica.beginSync();
  replica.answer(part(1, 2, 9, event("a", 9)));
  replica.endSync();
  replica.beginSync();
  assert.equal(replica.answer(part(2, 2, 9, event("b", 9))).hole, true);
  assert.deepEqual(held(replica), {});
});
