// The revision rule alone: no socket, no server, no clock.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Replica } from "./harness.mjs";

const event = (id, revision, title = `${id} at ${revision}`) => ({ id, department_id: "d", title, revision });
const gone = (id, revision) => ({ id, department_id: "d", revision });
const change = (type, subject) => ({ type, revision: subject.revision, event: subject });
const full = (revision, ...events) => ({ full: true, events, revision, sync_token: `t${revision}` });
const delta = (revision, ...changes) => ({ full: false, changes, revision, sync_token: `t${revision}` });

function loaded(revision, ...events) {
  const replica = new Replica();
  replica.answer(full(revision, ...events));
  return replica;
}

const held = (replica) => Object.fromEntries([...replica.events].map(([id, { revision }]) => [id, revision]));

test("the next revision is applied: created, updated, deleted", () => {
  const replica = loaded(0);
  const created = event("a", 1);
  assert.deepEqual(replica.broadcast("event_created", created), {
    changes: [{ type: "event_created", revision: 1, event: created, previous: null }],
    full: false,
    hole: false,
  });
  const updated = event("a", 2, "new");
  assert.equal(replica.broadcast("event_updated", updated).changes[0].previous, created);
  assert.deepEqual(replica.events.get("a"), updated);
  assert.equal(replica.broadcast("event_deleted", gone("a", 3)).changes[0].previous, updated);
  assert.deepEqual([replica.events.size, replica.revision], [0, 3]);
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
  assert.equal(replica.answer(delta(1, change("event_created", event("a", 1)))).hole, true);
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
  const outcome = replica.answer(
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
  replica.answer(delta(2, change("event_created", event("a", 2))));
  assert.equal(replica.token, "t2");
});

test("a delta with a hole, or short of what it promises, makes the next answer a full one", () => {
  for (const broken of [delta(3, change("event_created", event("a", 3))), delta(3)]) {
    const replica = loaded(1);
    assert.equal(replica.answer(broken).hole, true);
    assert.deepEqual([replica.token, replica.revision], ["", 1]);
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
