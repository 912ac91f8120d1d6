// Keeps departments over one connection to each server, and says what it holds when it is asked.
// Usage: node watchers.mjs URL...; then a JSON request a line: {"watch": id}, {"reopen": id}, {"states": id} or
// {"parts": ""}

import { createInterface } from "node:readline";
import { io } from "socket.io-client";
import { CalendarSync } from "../client/harness.mjs";

const QUICK = { reconnectionDelay: 50, reconnectionDelayMax: 300 };
/** How many answers came in parts. */
let partedAnswers = 0;

/** socket.io-client's `io`; of some connections the server seems not to offer parts. */
function sometimesWhole(...args) {
  const socket = io(...args);
  socket.on("connected", (greeting) => {
    socket.isOfOlderServer = !greeting.features;
  });
  const on = socket.on.bind(socket);
  socket.on = (name, listener) => {
    if (name !== "connected") return on(name, listener);
    return on(name, (greeting) => listener(Math.random() < 0.3 ? { message: greeting.message } : greeting));
  };
  return socket;
}

const calendars = process.argv.slice(2).map((url, number) => {
  const transports = number ? ["websocket"] : ["polling", "websocket"];
  return new CalendarSync(sometimesWhole, {
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
  /** What must be broadcast next; undefined while the first broadcast is still to come. */
  let next;
  /** The revision at which the department was joined: everything after it is broadcast. */
  let joined;
  /** The newest full answer since the last broadcast: with a new epoch, the broadcasts go on there. */
  let answered;
  /** Servers before 1.3 go on with the push to a room that was left, into the one that is entered next. */
  let isPushedAstray = false;
  /** What was received last, for whoever reads of a fault. */
  let trail = [];
  const note = (what) => {
    trail = [...trail, what].slice(-12);
  };
  const forget = (reason) => {
    next = joined = answered = undefined;
    note(reason);
  };
  const on = (name, listener) =>
    calendar.socket.on(name, (payload) => {
      if ((payload.department_id ?? payload.id) === department) listener(payload);
    });
  calendar.socket.on("connect", () => {
    forget("connected");
    isPushedAstray = false;
  });
  on("department_deleted", () => forget("deleted"));
  const send = calendar._send.bind(calendar);
  calendar._send = (name, payload, acknowledge) =>
    send(name, payload, (answer) => {
      // Who could not join again is not in the room any more.
      const failed = name === "join_department" && payload.department_id === department && !answer.success;
      if (failed) forget(`could not join: ${answer.error}`);
      acknowledge(answer);
    });
  on("left_department", () => {
    forget("left");
    isPushedAstray = calendar.socket.isOfOlderServer;
  });
  on("joined_department", ({ revision }) => {
    joined = revision;
    note(`joined at ${revision}`);
  });
  on("sync_response", ({ full, part, parts, revision }) => {
    if (part && part === parts) partedAnswers += 1;
    // The push to the room is never in parts. An answer that was read before another one may come after it.
    if (full && !part) answered = Math.max(answered ?? 0, revision);
    note(`${full ? "all" : "changes"} at ${revision}${part ? `, part ${part} of ${parts}` : ""}`);
  });
  for (const name of ["event_created", "event_updated", "event_deleted"]) {
    on(name, ({ revision }) => {
      note(revision);
      const isFirst = next === undefined && (joined === undefined || revision <= joined + 1);
      if (!isFirst && !isPushedAstray && revision !== next && !(revision <= answered + 1))
        faults.push(`was sent ${revision} for ${next}: ${trail.join("; ")}`);
      next = revision + 1;
      answered = undefined;
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
  /** Have one client leave and come back, which loads everything anew. */
  reopen: (id) => {
    const number = Math.floor(Math.random() * calendars.length);
    const client = kept.get(id)[number];
    client.department.close();
    keep(calendars[number], id, client);
    return number;
  },
  parts: () => partedAnswers,
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
