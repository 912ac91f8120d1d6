// Keeps departments over one connection to each server, and says what it holds when it is asked.
// Usage: node watchers.mjs URL...; then a JSON request a line: {"watch": id} or {"states": id}

import { createInterface } from "node:readline";
import { io } from "socket.io-client";
import { CalendarSync } from "../client/harness.mjs";

const QUICK = { reconnectionDelay: 50, reconnectionDelayMax: 300 };
const calendars = process.argv.slice(2).map((url, number) => {
  const transports = number ? ["websocket"] : ["polling", "websocket"];
  return new CalendarSync(io, {
    url,
    socketOptions: { ...QUICK, transports, forceNew: true },
    timing: { retryMs: 50, retryMaxMs: 500, answerMs: 5_000 },
  });
});
const kept = new Map();
/** How long until a client asks anew for a department that was deleted: somebody may have restored it. */
const RETURN_MS = 100;

/** Keep a department, and after its deletion again. */
function keep(calendar, id, client) {
  client.department = calendar.department(id);
  client.department.on("state", ({ state }) => {
    if (state === "deleted") setTimeout(() => keep(calendar, id, client), RETURN_MS);
  });
}

/** Note whatever one connection is sent out of order, twice, or after a hole. */
function checkOrder(calendar, department, faults) {
  let last = null;
  calendar.socket.on("connect", () => {
    last = null;
  });
  calendar.socket.on("sync_response", ({ department_id, full }) => {
    if (department_id === department && full) last = null;
  });
  calendar.socket.on("department_deleted", ({ id }) => {
    if (id === department) last = null;
  });
  for (const name of ["event_created", "event_updated", "event_deleted"]) {
    calendar.socket.on(name, ({ department_id, revision }) => {
      if (department_id !== department) return;
      if (last !== null && revision !== last + 1) faults.push(`was sent ${revision} after ${last}`);
      last = revision;
    });
  }
}

const requests = {
  watch: (id) => {
    const clients = calendars.map((calendar) => {
      const client = { department: null, faults: [] };
      checkOrder(calendar, id, client.faults);
      keep(calendar, id, client);
      return client;
    });
    kept.set(id, clients);
    return clients.length;
  },
  states: (id) =>
    kept.get(id).map(({ department: { state, revision, events }, faults }) => ({
      state, revision, events: Object.fromEntries(events), faults,
    })),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [[name, id]] = Object.entries(JSON.parse(line));
  process.stdout.write(`${JSON.stringify(requests[name](id))}\n`);
}
for (const calendar of calendars) calendar.close();
process.exit();
