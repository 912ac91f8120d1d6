// What the client's tests stand on: the module, a real server, a network that can be cut, a faulty wire.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, copyFileSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { io } from "socket.io-client";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BIN = process.env.CALENDAR_TEST_BIN ?? join(ROOT, ".venv/bin");

/** Node takes a `.js` file for a module only where a package.json says so, which browsers do not need. */
const copies = mkdtempSync(join(tmpdir(), "calendar-sync-"));
copyFileSync(join(ROOT, "backend/static/calendar-sync.js"), join(copies, "calendar-sync.mjs"));
export const { CalendarSync, Replica, TIMING } = await import(join(copies, "calendar-sync.mjs"));
rmSync(copies, { recursive: true });

/** Return the condition's first true value; fail when it stays false for so long. */
export async function waitFor(condition, what = String(condition), ms = 10_000) {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = await condition();
    if (value) return value;
    assert.ok(Date.now() < deadline, `waited ${ms} ms in vain for ${what}`);
    await sleep(10);
  }
}

/** A real server on an engine of its own, with a REST client. */
export class Server {
  #folder = mkdtempSync(join(tmpdir(), "calendar-server-"));
  #process = null;
  #settings;
  /** Sent with each request. */
  headers = {};

  constructor(settings) {
    this.#settings = settings;
  }

  static async start(settings = {}) {
    const server = new Server(settings);
    await server.up();
    return server;
  }

  async up() {
    const kept = Object.entries(process.env).filter(([name]) => !/^(AWS_|FLASK_|DYNAMODB_)/.test(name));
    this.port = await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    const log = openSync(join(this.#folder, "server.log"), "a");
    this.#process = spawn(join(BIN, "flask"), ["run", "--host=127.0.0.1", `--port=${this.port}`], {
      cwd: join(ROOT, "backend"),
      env: {
        ...Object.fromEntries(kept),
        AWS_EC2_METADATA_DISABLED: "true",
        DYNAMODB_ENDPOINT_URL: "embedded",
        EMBEDDED_DATA_DIR: join(this.#folder, "data"),
        PYTHONUNBUFFERED: "1",
        ...this.#settings,
      },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    await waitFor(async () => {
      assert.equal(this.#process.exitCode, null, this.log);
      return (await fetch(`${this.url}/readyz`).catch(() => null))?.ok;
    }, "the server to be ready");
  }

  get log() {
    return readFileSync(join(this.#folder, "server.log"), "utf8");
  }

  async down(signal = "SIGTERM") {
    const ended = once(this.#process, "exit");
    this.#process.kill(signal);
    await ended;
  }

  async end() {
    await this.down();
    assert.ok(!this.log.includes("Traceback"), this.log);
    rmSync(this.#folder, { recursive: true, maxRetries: 10 }); // the engine ends a moment later
  }

  async rest(method, path, body) {
    const answer = await fetch(this.url + path, {
      method,
      headers: { ...this.headers, ...(body && { "Content-Type": "application/json" }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const found = await answer.json();
    assert.ok(found.success, JSON.stringify(found));
    const [cookie] = answer.headers.getSetCookie();
    return cookie ? { ...found, cookie: cookie.split(";")[0] } : found;
  }

  async department() {
    return (await this.rest("POST", "/api/departments", { name: `부서 ${crypto.randomUUID()}` })).department.id;
  }

  async create(department, title = "팀 회의", description = "") {
    const body = { event_date: "2024-01-20", title, description };
    return (await this.rest("POST", `/api/events/${department}`, body)).event;
  }

  /** Make a department with 900 KB of JSON, which comes in parts. */
  async largeDepartment() {
    const id = await this.department();
    await Promise.all(Array.from({ length: 30 }, (_, n) => this.create(id, `긴 것 ${n}`, "가".repeat(10_000))));
    return id;
  }

  async update(event, title) {
    return (await this.rest("PUT", `/api/events/${event.id}`, { title })).event;
  }

  async remove(event) {
    await this.rest("DELETE", `/api/events/${event.id}`);
  }

  async removeDepartment(id) {
    await this.rest("DELETE", `/api/departments/${id}`);
  }

  list(department) {
    return this.rest("GET", `/api/events/${department}`);
  }
}

/** The network between client and server: it can be cut, go dead without a word, and lead elsewhere. */
export class Network {
  #pairs = new Set();
  #server;
  accepting = true;
  dead = false;
  connections = 0;

  static async to(server) {
    const network = new Network();
    network.server = server;
    network.#server = net.createServer((client) => network.#join(client)).listen(0, "127.0.0.1");
    await once(network.#server, "listening");
    network.url = `http://127.0.0.1:${network.#server.address().port}`;
    return network;
  }

  #join(client) {
    this.connections += 1;
    if (!this.accepting) return client.destroy();
    const upstream = net.connect(this.server.port, "127.0.0.1");
    const pair = { client, upstream, dead: this.dead };
    this.#pairs.add(pair);
    for (const [from, to] of [[client, upstream], [upstream, client]]) {
      from.on("data", (data) => pair.dead || to.write(data));
      from.on("error", () => {});
      from.on("close", () => {
        if (!pair.dead) to.destroy();
        this.#pairs.delete(pair);
      });
    }
    return pair;
  }

  /** End what is open; refuse newcomers until `mend`. */
  cut() {
    this.accepting = false;
    for (const { client, upstream } of this.#pairs) {
      client.destroy();
      upstream.destroy();
    }
  }

  mend() {
    this.accepting = true;
  }

  /** Swallow what the open connections send, as after a sleep: nobody is told. New ones work. */
  die() {
    for (const pair of this.#pairs) pair.dead = true;
  }

  close() {
    this.cut();
    for (const { client, upstream } of this.#pairs) client.destroy(upstream.destroy());
    this.#server.close();
  }
}

/** socket.io-client's `io`, noting what passes; `intercept` may lose, hold or repeat what the server sends. */
export class Wire {
  sent = [];
  received = [];
  /** @type {null | ((name: string, payload: any, deliver: () => void) => boolean)} true: it took care of it */
  intercept = null;
  #listeners = new Map();

  io = (url, options) => {
    const socket = io(url, options);
    const on = socket.on.bind(socket);
    const emit = socket.emit.bind(socket);
    socket.on = (name, listener) => {
      const receive = (payload) => {
        this.received.push([name, payload]);
        const deliver = () => listener(payload);
        if (!this.intercept?.(name, payload, deliver)) deliver();
      };
      this.#listeners.set(name, receive);
      return on(name, receive);
    };
    socket.emit = (name, ...rest) => {
      this.sent.push([name, rest[0]]);
      return emit(name, ...rest);
    };
    this.socket = socket;
    return socket;
  };

  /** Have the client receive what the server did not send. */
  inject(name, payload) {
    this.#listeners.get(name)(payload);
  }

  of(name) {
    return this.received.filter(([kind]) => kind === name).map(([, payload]) => payload);
  }

  asked(name) {
    return this.sent.filter(([kind]) => kind === name).map(([, payload]) => payload);
  }

  forgetAll() {
    this.sent.length = this.received.length = 0;
  }
}

/** Real time that can jump, as it does for a machine that slept. Counts what is left behind. */
export class Clock {
  timers = new Set();
  #ahead = 0;

  now = () => Date.now() + this.#ahead;

  jump(ms) {
    this.#ahead += ms;
  }

  setTimeout = (action, ms) => {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      action();
    }, ms);
    this.timers.add(timer);
    return timer;
  };

  clearTimeout = (timer) => {
    this.timers.delete(timer);
    clearTimeout(timer);
  };

  setInterval = (action, ms) => {
    const timer = setInterval(action, ms);
    this.timers.add(timer);
    return timer;
  };

  clearInterval = (timer) => {
    this.timers.delete(timer);
    clearInterval(timer);
  };
}

/** A browser's window or document, as far as the module looks at it. */
export class Target extends EventTarget {
  visibilityState = "visible";
  listening = 0;

  addEventListener(...args) {
    this.listening += 1;
    super.addEventListener(...args);
  }

  removeEventListener(...args) {
    this.listening -= 1;
    super.removeEventListener(...args);
  }

  fire(name, more = {}) {
    this.dispatchEvent(Object.assign(new Event(name), more));
  }
}

async function freePort() {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}
