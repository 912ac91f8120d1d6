/**
 * Keeps departments' events in the browser equal to the server's, live, over one Socket.IO connection.
 *
 * No dependencies: the caller hands in socket.io-client's `io`, of the server's copy or of its own.
 *
 *     import { io } from "/static/socket.io.esm.min.js";
 *     import { CalendarSync } from "/static/calendar-sync.js";
 *
 *     const calendar = new CalendarSync(io);
 *     const department = calendar.department("0b7c…");
 *     department.on("change", () => render([...department.events.values()]));
 *     department.on("state", ({ state }) => showBanner(state));
 *     department.close();   // leaves this department
 *     calendar.close();     // ends the connection and everything else
 *
 * ## CalendarSync(io, options)
 *
 * Options: `url`, the server, for a page of another origin (which the server's `CORS_ORIGINS` must name);
 * `socketOptions`, handed to `io`; `timing`, see `TIMING`.
 *
 * `department(id)` starts to keep a department, or returns the one that is being kept. `wake()` checks at
 * once instead of waiting for a timeout; pages rarely need it, see "Sleep". `socket` is the connection, for
 * broadcasts that are no business of this module (`department_created`, `department_updated`). `state` is
 * `connecting`, `online`, `offline`, `refused` (the server does not let this account in; `wake()` tries again)
 * or `closed`. Events: `state` `{state, previous}`; `access` `{department_id, role}` when the account may do
 * something else there than before (no role: nothing any more; no department: perhaps everywhere); `error`, see
 * below.
 *
 * ## DepartmentSync, what `department(id)` returns
 *
 * `id`; `events`, a Map of events by id in no particular order, to be read only: a series is one event, with its
 * `rrule`, and REST tells with `expand=true` on which dates it lies; `revision`, what it stands at, -1 before the
 * first load; `loaded`; `error`, the last failure until something succeeds, or null; `state`:
 *
 * | state     | means                                                                                     |
 * |-----------|-------------------------------------------------------------------------------------------|
 * | `loading` | nothing is held yet                                                                       |
 * | `live`    | equal to the server's, as far as anybody can tell                                         |
 * | `syncing` | what is held may be behind, and the server is being asked                                 |
 * | `offline` | no connection; what is held may be behind                                                 |
 * | `deleted` | the department does not exist, or no longer. Final; `events` keeps what was last known    |
 * | `refused` | the server refuses in a way that asking again would not mend, see `error`. Final          |
 * | `closed`  | `close()` was called. Final                                                               |
 *
 * After a final state `calendar.department(id)` starts anew, for instance when `socket` brings a
 * `department_created` with this id: the department has been restored. Events, each also seen by the fields above:
 * - `change` `{department_id, revision, full, changes: [{type, revision, event, previous, by, by_name}]}` after
 *   `events` changed. `type` is `event_created`, `event_updated` or `event_deleted`; `event` is the whole
 *   event, after a deletion only `{id, department_id, revision}`; `previous` is what was held, or null; `by`
 *   and `by_name` are the account that changed it, both empty when nobody is known. `full:
 *   true` says that everything was replaced, and `changes` is empty: draw it all anew.
 * - `state` `{state, previous, error}`.
 * - `error`, the server's failure envelope `{error, message, details}` with `department_id`, `during` (the
 *   message that failed) and `retryInMs` (null: not tried again). Codes of our own: `timeout` (no answer:
 *   the connection is taken for dead and replaced), and on CalendarSync `connect_failed`. A CalendarSync
 *   also tells the errors of its departments.
 *
 * `on(name, listener)` returns a function that ends the subscription. A listener that throws harms nobody
 * else.
 *
 * ## The rules
 *
 * Revisions of a department have no holes. A broadcast of `last + 1` is applied, `<= last` dropped, and
 * more is a hole: `sync_request` with the token. While an answer is awaited broadcasts are held, then put
 * to the same rule. What arrived before a request was sent needs no holding: reads are strong, so the
 * answer contains it.
 *
 * *A delta* (a `sync_response` that is not full) is complete between the token that was asked with and its
 * `revision`, although revisions are missing in it: the server leaves out changes of kinds that it does not
 * know. Here, too, a change of an unknown kind moves the revision and no event. Broadcasts of such changes
 * are not noticed; the next broadcast or heartbeat shows a hole. A full answer that was pushed between the
 * question and the delta has replaced what the delta follows, perhaps by a lower revision: ask again.
 *
 * *Parts*: servers offer them in their greeting, `connected`; only then are they asked for, so the greeting is
 * waited for before the first message. A large full answer then comes as several `sync_response`s, which replace
 * what is held when the last is here. A full answer between two parts was pushed because the log was rebuilt: it
 * replaces what is held, and those parts are dropped. The server answers one message after the other, so with
 * each part, of whichever department, all that wait for an answer wait anew.
 *
 * *The token* is the position of the last `sync_response`; broadcasts carry none. So it may stand behind what
 * is held, and a sync then repeats changes that the revision rule drops. It must never stand ahead: that is
 * why the token of `joined_department` is not used, which is sent before the changes that lead up to it, or
 * instead of them. A token that has expired, or is too far back, costs a full answer, nothing else.
 *
 * *The first load* is a full sync over the socket, not REST: it is asked for after joining, so that nothing
 * falls between, and it is the same path as every later sync: one connection, one order, one set of
 * failures.
 *
 * *Lost last broadcasts*: `department_heartbeat` with a higher revision is a hole. When a department has
 * been silent for `silenceMs`, heartbeats included, it is asked after.
 *
 * *Sleep*: timers of a machine that slept fire late, and a dead connection looks alive for most of a
 * minute. When the page becomes visible, is thawed or restored or comes online, or when the wall clock
 * jumps, every department is asked after at once; no answer within `wakeMs` replaces the connection, or
 * within `answerMs` at other times. Each time in vain doubles that, for slow lines.
 *
 * *Retries*: `store_unavailable` and `internal_error`, after `retryMs`, doubling up to `retryMaxMs`, with
 * jitter; answers, too, that one after another do not lead to what the server tells of. The connection
 * itself is retried by socket.io-client, and by us where it does not: a server that hung up.
 */

/** Defaults of `options.timing`, in milliseconds. */
export const TIMING = Object.freeze({
  /**
   * The server answers or refuses within 10 s; a connection that is silent for longer is dead. Or its line is
   * slow and the answer large: whoever waited in vain waits twice as long the next time, up to `slowestMs`.
   */
  answerMs: 15_000,
  slowestMs: 240_000,
  wakeMs: 4_000,
  retryMs: 1_000,
  retryMaxMs: 30_000,
  tickMs: 5_000,
  /** By how much a tick must be late to mean sleep; browsers run a hidden page's timers once a minute. */
  gapMs: 20_000,
  hiddenGapMs: 90_000,
  /** Two and a half heartbeats. */
  silenceMs: 75_000,
});

/** The kinds of changes, which are the names of their broadcasts, too. */
const KINDS = new Set(["event_created", "event_updated", "event_deleted"]);
const RETRIED = new Set(["store_unavailable", "internal_error", "too_many_requests"]);
const AT_ONCE = 4;
const FINAL = new Set(["deleted", "refused", "closed"]);

class Emitter {
  #listeners = new Map();

  /**
   * @param {string} name
   * @param {(payload: any) => void} listener
   * @returns {() => void} ends the subscription
   */
  on(name, listener) {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  _emit(name, payload) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(payload);
      } catch (error) {
        queueMicrotask(() => {
          throw error; // reported as uncaught; the replica goes on
        });
      }
    }
  }
}

/**
 * What is held of one department, and the revision rule. Pure: no socket, no clock.
 *
 * Every method returns `{changes, full, hole}`: what it changed, whether by replacing everything, and whether
 * the server must be asked.
 */
export class Replica {
  events = new Map();
  revision = -1;
  /** Never ahead of `revision`; empty: only a full answer helps. */
  token = "";
  #held = null;
  /** The parts of a full answer that have come; null while none is awaited. */
  #parts = null;
  /** The token that was asked with; null while no answer is awaited. */
  #askedWith = null;

  get loaded() {
    return this.revision >= 0;
  }

  /** Hold broadcasts from now on; earlier ones are in the answer that is about to be asked for. */
  beginSync() {
    this.#held = [];
    this.#askedWith = this.token;
  }

  /** Put what was held to the rule. */
  endSync() {
    const held = this.#held ?? [];
    this.#held = this.#askedWith = this.#parts = null;
    return this.#applyAll(held);
  }

  /** Take a broadcast, or hold it. */
  broadcast(type, payload) {
    const { by, by_name, ...event } = payload ?? {}; // of the change, no fields of the event
    const change = { type, revision: event.revision, event, by, by_name };
    if (this.#held) {
      this.#held.push(change);
      return { changes: [], full: false, hole: false };
    }
    return this.#applyAll([change]);
  }

  /** Take a `sync_response` or a part of one, asked for or not. */
  answer(response) {
    if (response.part) return this.#collect(response);
    if (this.#parts && this.#held) this.#held = []; // it was pushed after these, and contains them
    this.#parts = null;
    const outcome = response.full ? this.#replaceAll(response) : this.#catchUp(response);
    // Broadcasts of a log that was replaced must not be applied; the next answer contains all others.
    if (outcome.hole && this.#held) this.#held = [];
    return outcome;
  }

  /** Give up the token, so that the next answer is a full one. */
  forget() {
    this.token = "";
  }

  /** Tell whether a revision the server has told of is missing here. */
  lacks(revision) {
    return revision > this.revision;
  }

  /** Keep a part that follows the one before; take them all once the last is here. */
  #collect({ part, parts, events, revision, sync_token: token }) {
    const before = part === 1 ? [] : this.#parts;
    const follows = before?.length === part - 1 && before.every((earlier) => earlier.revision === revision);
    this.#parts = follows ? [...before, { events, revision }] : null;
    if (part < parts) return { changes: [], full: false, hole: false };
    const complete = this.#parts?.flatMap((each) => each.events);
    this.#parts = null;
    if (!complete) return { changes: [], full: false, hole: true };
    return this.answer({ full: true, events: complete, revision, sync_token: token });
  }

  #replaceAll({ events, revision, sync_token: token }) {
    const wentBack = revision < this.revision; // ours may have been the newer: ask
    this.events.clear();
    for (const event of events) this.events.set(event.id, event);
    this.revision = revision;
    this.token = token;
    return { changes: [], full: true, hole: wentBack };
  }

  #catchUp({ changes, revision, sync_token: token }) {
    const unusable = { changes: [], full: false, hole: true };
    if (!this.token || this.#askedWith !== this.token) return unusable;
    if (!isWellFormed(changes, revision)) {
      this.forget();
      return unusable;
    }
    const missed = changes.filter((change) => change.revision > this.revision);
    const applied = missed.filter(({ type }) => KINDS.has(type)).map((change) => this.#apply(change));
    this.revision = Math.max(this.revision, revision);
    this.token = token;
    return { changes: applied, full: false, hole: false };
  }

  #applyAll(broadcasts) {
    const changes = [];
    for (const change of broadcasts) {
      if (change.revision <= this.revision) continue;
      if (!this.loaded || change.revision !== this.revision + 1) return { changes, full: false, hole: true };
      changes.push(this.#apply(change));
    }
    return { changes, full: false, hole: false };
  }

  #apply({ type, revision, event, by = "", by_name = "" }) {
    const previous = this.events.get(event.id) ?? null;
    if (type === "event_deleted") this.events.delete(event.id);
    else this.events.set(event.id, event);
    this.revision = revision;
    return { type, revision, event, previous, by, by_name };
  }
}

/** Tell whether a delta's changes are in order up to its revision, and those of known kinds have an event. */
function isWellFormed(changes, end) {
  if (!Number.isInteger(end) || !Array.isArray(changes)) return false;
  let last = 0;
  return changes.every((change) => {
    const { type, revision, event } = change ?? {};
    const follows = Number.isInteger(revision) && last < revision && revision <= end;
    last = revision;
    return follows && (!KINDS.has(type) || Boolean(event?.id));
  });
}

/** One department's conversation with the server. Made by `CalendarSync.department`; see the top. */
export class DepartmentSync extends Emitter {
  #calendar;
  #replica = new Replica();
  #state = "loading";
  #joined = false;
  /** The message that is not answered in full yet; at most one. */
  #request = null;
  #retryTimer = null;
  #failures = 0;
  /** Answers in a row that were not enough. */
  #fruitless = 0;
  /** Answers in a row that did not come in time. */
  #timeouts = 0;
  #heardAt;

  constructor(calendar, id) {
    super();
    this.#calendar = calendar;
    this.id = id;
    this.error = null;
    this.#heardAt = calendar._clock.now();
  }

  get events() {
    return this.#replica.events;
  }

  get revision() {
    return this.#replica.revision;
  }

  get loaded() {
    return this.#replica.loaded;
  }

  get state() {
    return this.#state;
  }

  /** Leave the department. */
  close() {
    if (!FINAL.has(this.#state)) this.#calendar._leave(this.id);
    this._finish("closed");
  }

  // Called by CalendarSync

  _connected() {
    this.#letGo();
    this.#ask();
  }

  _disconnected() {
    this.#letGo();
    this.#enter("offline");
  }

  _broadcast(type, event) {
    this.#heard();
    this.#askIf(this.#take(this.#replica.broadcast(type, event)));
  }

  _heartbeat(revision) {
    this.#heard();
    if (this.#request) this.#request.wanted = Math.max(this.#request.wanted, revision);
    else this.#askIf(this.#replica.lacks(revision));
  }

  _answer(response) {
    this.#heard();
    const hole = this.#take(this.#replica.answer(response));
    if (response.part < response.parts) return;
    if (!this.#request) return this.#askIf(hole);
    this.#request.answered = true;
    this.#request.hole = hole || this.#request.bare; // one before the join: whoever left and came back lacks more
    this.#settle();
  }

  /** Wait as long again: the server is busy with an answer, perhaps another department's. */
  _waitAnew() {
    if (this.#request) this.#expect(this.#calendar._timing.answerMs);
  }

  /** Find out soon whether anything was missed, and whether anybody is there. */
  _check(withinMs) {
    if (this.#request) this.#expect(withinMs);
    else this.#ask(withinMs);
  }

  _checkIfSilent(now) {
    this.#askIf(now - this.#heardAt >= this.#calendar._timing.silenceMs);
  }

  /** Enter a final state. */
  _finish(state, error = null) {
    if (FINAL.has(this.#state)) return;
    this.#endRequest();
    this.#stopRetry();
    this.error = error;
    this.#enter(state);
    this.#calendar._forget(this);
  }

  // Asking

  #askIf(needed) {
    if (needed && !this.#request && !this.#retryTimer) this.#ask();
  }

  /** Join if need be, and catch up from the token. */
  #ask(withinMs = this.#calendar._timing.answerMs) {
    if (FINAL.has(this.#state) || !this.#calendar._online) return;
    this.#stopRetry();
    const name = this.#joined ? "sync_request" : "join_department";
    const token = this.#replica.token;
    // Joining without a token brings no events: they are asked for when it is done.
    const bare = !this.#joined && !token;
    const request = { name, bare, acknowledged: false, answered: bare, hole: bare, wanted: -1 };
    this.#request = request;
    this.#replica.beginSync();
    this.#expect(withinMs);
    this.#enter(this.loaded ? "syncing" : "loading");
    const payload = {
      department_id: this.id,
      ...(token && { sync_token: token }),
      ...(this.#calendar._offersParts && { parts: true }),
    };
    this.#calendar._send(name, payload, (acknowledgement) => {
      if (this.#request !== request) return;
      this.#heard();
      if (!acknowledgement?.success) return this.#failed(acknowledgement);
      request.acknowledged = true;
      this.#settle();
    });
  }

  #expect(withinMs) {
    const { _clock: clock, _timing: timing } = this.#calendar;
    const ms = Math.min(withinMs * 2 ** this.#timeouts, Math.max(withinMs, timing.slowestMs));
    clock.clearTimeout(this.#request.timer);
    this.#request.timer = clock.setTimeout(() => {
      this.#timeouts += 1;
      this.#report({ error: "timeout", message: `no answer in ${ms} ms`, details: null }, 0);
      this.#calendar._restart();
    }, ms);
  }

  /** Go on once the acknowledgement and what was asked for are both here, in whichever order. */
  #settle() {
    const request = this.#request;
    if (!request.acknowledged || !request.answered) return;
    this.#endRequest();
    this.#joined = true;
    this.#failures = 0;
    this.error = null;
    const hole = this.#take(this.#replica.endSync());
    if (hole || request.hole || this.#replica.lacks(request.wanted)) return this.#askAgain();
    this.#fruitless = 0;
    this.#timeouts = 0;
    this.#enter("live");
  }

  /** After an answer that was not enough: at once, but not for ever, if servers disagree. */
  #askAgain() {
    this.#fruitless += 1;
    if (this.#fruitless <= AT_ONCE) this.#ask();
    else this.#askLater(this.#fruitless - AT_ONCE - 1);
  }

  /** Ask after a delay; return it. */
  #askLater(times) {
    const delay = backoff(this.#calendar._timing, times);
    this.#retryTimer = this.#calendar._clock.setTimeout(() => this.#ask(), delay);
    return delay;
  }

  #failed(envelope) {
    const { error = "internal_error", message = "", details = null } = envelope ?? {};
    const failure = { error, message, details };
    if (error === "sync_token_expired" && this.#replica.token) {
      this.#endRequest();
      this.#replica.forget();
      return this.#ask();
    }
    const { name } = this.#request;
    if (!RETRIED.has(error)) {
      this.#report(failure, null, name);
      return this._finish(error === "department_not_found" ? "deleted" : "refused", failure);
    }
    this.#endRequest();
    const delay = this.#askLater(this.#failures++);
    this.#take(this.#replica.endSync());
    this.#report(failure, delay, name);
  }

  /** Nothing that was asked on an earlier connection will be answered on this one. */
  #letGo() {
    this.#joined = false;
    this.#endRequest();
    this.#stopRetry();
    this.#take(this.#replica.endSync()); // held broadcasts that fit are as good as any others
  }

  #endRequest() {
    if (this.#request) this.#calendar._clock.clearTimeout(this.#request.timer);
    this.#request = null;
  }

  #stopRetry() {
    this.#calendar._clock.clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
  }

  // Telling

  #heard() {
    this.#heardAt = this.#calendar._clock.now();
  }

  /** Tell of what a step changed; return whether it met a hole. */
  #take({ changes, full, hole }) {
    if (full || changes.length) {
      this._emit("change", { department_id: this.id, revision: this.revision, full, changes });
    }
    return hole;
  }

  #enter(state) {
    if (state === this.#state || FINAL.has(this.#state)) return;
    const previous = this.#state;
    this.#state = state;
    this._emit("state", { state, previous, error: this.error });
  }

  #report(failure, retryInMs, during = this.#request.name) {
    this.error = failure;
    const told = { ...failure, department_id: this.id, during, retryInMs };
    this._emit("error", told);
    this.#calendar._emit("error", told);
  }
}

/** The connection, and the departments kept over it; see the top. */
export class CalendarSync extends Emitter {
  #departments = new Map();
  #state = "connecting";
  #reconnectTimer = null;
  #refusals = 0;
  #restarting = false;
  /** When the connection attempt under way began, or its wait for the greeting; null while none is. */
  #tryingSince;
  #tickTimer;
  #tickedAt;
  #unlisten = [];
  #page;

  /**
   * @param {Function} io socket.io-client's `io`, version 4
   * @param {object} [options]
   * @param {string} [options.url] the server; without it, the page's own origin
   * @param {object} [options.socketOptions] handed to `io`
   * @param {Partial<typeof TIMING>} [options.timing]
   * @param {{now, setTimeout, clearTimeout, setInterval, clearInterval}} [options.clock] for tests
   * @param {{window?: EventTarget, document?: EventTarget}} [options.page] for tests
   */
  constructor(io, { url, socketOptions = {}, timing = {}, clock = realClock(), page = globalThis } = {}) {
    super();
    this._timing = { ...TIMING, ...timing };
    this._clock = clock;
    this.#page = page;
    this.#tryingSince = clock.now();
    this._offersParts = false;
    this.socket = io(url, socketOptions);
    this.#listen();
    this.#tickedAt = clock.now();
    this.#tickTimer = clock.setInterval(() => this.#tick(), this._timing.tickMs);
    this.#watch(page.document, "visibilitychange", () => this.#hidden || this.wake());
    this.#watch(page.document, "resume", () => this.wake());
    this.#watch(page.window, "online", () => this.wake());
    this.#watch(page.window, "pageshow", (event) => event.persisted && this.wake());
  }

  get state() {
    return this.#state;
  }

  /**
   * Keep a department from now on. Errors, `invalid_id` included, come as its `error` and state.
   *
   * @param {string} id
   * @returns {DepartmentSync}
   */
  department(id) {
    const key = String(id).toLowerCase(); // as the server writes it
    if (this.#state === "closed") throw new Error("this CalendarSync is closed");
    let department = this.#departments.get(key);
    if (!department) {
      department = new DepartmentSync(this, key);
      this.#departments.set(key, department);
      if (this._online) department._connected();
      else if (this.#state !== "connecting") department._disconnected();
    }
    return department;
  }

  /** Check at once whether the connection lives and nothing was missed. */
  wake() {
    if (this.#state === "closed") return;
    const { wakeMs } = this._timing;
    if (this._online) {
      this.#each((department) => department._check(wakeMs));
    } else if (this.#tryingSince === null || this._clock.now() - this.#tryingSince > wakeMs) {
      this._restart(); // socket.io's next attempt may be seconds away
    }
  }

  /** End the connection, every department, all timers and listeners. */
  close() {
    if (this.#state === "closed") return;
    this.#each((department) => department._finish("closed"));
    this.#enter("closed");
    this._clock.clearInterval(this.#tickTimer);
    this._clock.clearTimeout(this.#reconnectTimer);
    for (const stop of this.#unlisten) stop();
    this.socket.disconnect();
  }

  // Called by DepartmentSync

  get _online() {
    return this.#state === "online" && this.socket.connected;
  }

  _send(name, payload, acknowledge) {
    this.socket.emit(name, payload, acknowledge);
  }

  _leave(id) {
    if (this._online) this._send("leave_department", { department_id: id }, () => {});
  }

  _forget(department) {
    if (this.#departments.get(department.id) === department) this.#departments.delete(department.id);
  }

  /** Replace the connection now, whatever it or its library is waiting for. */
  _restart() {
    if (this.#state === "closed") return; // by a listener that was just told of the reason
    this.#restarting = true;
    this.socket.disconnect();
    this.#restarting = false;
    this.#connect();
  }

  // The connection

  #listen() {
    const { socket } = this;
    socket.on("connect", () => {
      this.#tryingSince = this._clock.now();
    });
    socket.on("connected", (greeting) => this.#greeted(greeting));
    socket.on("disconnect", () => this.#disconnected());
    socket.on("connect_error", (error) => {
      this.#tryingSince = null;
      const { error: code = "connect_failed", message = error.message, details = null } = error.data ?? {};
      const refused = Boolean(error.data?.error) && !RETRIED.has(code);
      this._emit("error", { error: code, message, details });
      this.#enter(refused ? "refused" : "offline");
      this.#each((department) => department._disconnected());
      if (!refused) this.#reconnectIfNobodyElseDoes();
    });
    socket.on("access_changed", (change) => this.#accessChanged(change));
    socket.io?.on("reconnect_attempt", () => {
      this.#tryingSince = this._clock.now();
    });
    for (const type of KINDS) {
      socket.on(type, (event) => this.#of(event?.department_id)?._broadcast(type, event));
    }
    socket.on("sync_response", (response) => {
      if (response?.part) this.#each((department) => department._waitAnew());
      this.#of(response?.department_id)?._answer(response);
    });
    socket.on("department_heartbeat", (beat) => this.#of(beat?.department_id)?._heartbeat(beat.revision));
    socket.on("department_deleted", (department) => this.#of(department?.id)?._finish("deleted"));
  }

  #greeted(greeting) {
    if (this.#state === "closed") return;
    this.#refusals = 0;
    // Servers that do not offer it refuse messages with a field that they do not know.
    this._offersParts = Boolean(greeting?.features?.includes("parts"));
    this.#enter("online");
    this.#each((department) => department._connected());
  }

  #accessChanged({ department_id: id, role }) {
    this._emit("access", { department_id: id, role });
    if (id === "") this.wake(); // what may not be seen any more is answered as not found
    else if (role === "") this.#of(id)?._finish("deleted");
  }

  #disconnected() {
    if (this.#state === "closed") return;
    this.#tryingSince = null;
    this.#enter("offline");
    this.#each((department) => department._disconnected());
    this.#reconnectIfNobodyElseDoes();
  }

  /** socket.io-client does not return to a server that hung up or refused; everything else it retries. */
  #reconnectIfNobodyElseDoes() {
    if (this.socket.active || this.#restarting || this.#state === "closed") return;
    this._clock.clearTimeout(this.#reconnectTimer);
    const delay = backoff(this._timing, this.#refusals++);
    this.#reconnectTimer = this._clock.setTimeout(() => this.#connect(), delay);
  }

  #connect() {
    this._clock.clearTimeout(this.#reconnectTimer);
    this.#tryingSince = this._clock.now();
    this.socket.connect();
  }

  // The page and the clock

  get #hidden() {
    return this.#page.document?.visibilityState === "hidden";
  }

  #watch(target, name, listener) {
    if (!target?.addEventListener) return;
    target.addEventListener(name, listener);
    this.#unlisten.push(() => target.removeEventListener(name, listener));
  }

  #tick() {
    const now = this._clock.now();
    const late = now - this.#tickedAt - this._timing.tickMs;
    this.#tickedAt = now;
    const jumped = late < -this._timing.tickMs || late > this._timing[this.#hidden ? "hiddenGapMs" : "gapMs"];
    if (jumped) this.wake();
    else if (this._online) this.#each((department) => department._checkIfSilent(now));
    else if (this.socket.connected && now - this.#tryingSince > this._timing.answerMs) this._restart();
  }

  // Small things

  #of(id) {
    return this.#departments.get(id);
  }

  /** A department may end, and leave the map, in the middle. */
  #each(action) {
    for (const department of [...this.#departments.values()]) action(department);
  }

  #enter(state) {
    if (state === this.#state || this.#state === "closed") return;
    const previous = this.#state;
    this.#state = state;
    this._emit("state", { state, previous });
  }
}

/** A delay that doubles with each time, with jitter: clients must not retry in step. */
function backoff({ retryMs, retryMaxMs }, times) {
  return Math.round(Math.min(retryMs * 2 ** times, retryMaxMs) * (0.5 + Math.random() / 2));
}

/** The functions of a page must be called as the page's own, hence the wrapping. */
function realClock() {
  return {
    now: () => Date.now(),
    setTimeout: (action, ms) => setTimeout(action, ms),
    clearTimeout: (timer) => clearTimeout(timer),
    setInterval: (action, ms) => setInterval(action, ms),
    clearInterval: (timer) => clearInterval(timer),
  };
}
