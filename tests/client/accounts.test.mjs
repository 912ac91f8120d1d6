// The client against a real server with accounts: refused, let in, and without a role.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { CalendarSync, Server, waitFor } from "./harness.mjs";

const PASSWORD = "정확한 말 배터리 스테이플";
let server, admin;

before(async () => {
  server = await Server.start({ AUTH: "on" });
  const token = server.log.match(/setup#(\S+)/)[1];
  admin = await comeIn("/api/setup", token, "admin@example.com");
});
after(() => server.end());

/** Spend a link; return the headers of the browser that did. */
async function comeIn(path, token, email) {
  const { cookie, account } = await server.rest("POST", path, { token, email, name: "김", password: PASSWORD });
  return { account, headers: { Cookie: cookie, Origin: server.url } };
}

/** Do something as somebody. */
async function as(person, ...request) {
  server.headers = person.headers;
  try {
    return await server.rest(...request);
  } finally {
    server.headers = {};
  }
}

test("a stranger is refused, is let in when it wakes with a token, and ends with its role", async (t) => {
  const name = `부서 ${crypto.randomUUID()}`;
  const id = (await as(admin, "POST", "/api/departments", { name })).department.id;
  const offer = { email: "lee@example.com", department_id: id, role: "reader" };
  const { url } = (await as(admin, "POST", "/api/invitations", offer)).invitation;
  const lee = await comeIn("/api/invitations/accept", url.split("#")[1], offer.email);
  const { token } = (await as(lee, "POST", "/api/tokens", { name: "시험", scope: "read" })).token;

  let shown = "";
  const options = { reconnectionDelay: 20, auth: (show) => show({ token: shown }) };
  const calendar = new CalendarSync((await import("socket.io-client")).io, { url: server.url, socketOptions: options });
  t.after(() => calendar.close());
  const department = calendar.department(id);
  const errors = [];
  const access = [];
  calendar.on("error", ({ error }) => errors.push(error));
  calendar.on("access", (change) => access.push(change));
  await waitFor(() => calendar.state === "refused", "the refusal");
  assert.deepEqual([errors, department.state], [["not_signed_in"], "offline"]);

  shown = token;
  calendar.wake();
  await waitFor(() => department.state === "live", "the department");
  const body = { event_date: "2026-11-22", title: "회의" };
  const { event } = await as(admin, "POST", `/api/events/${id}`, body);
  await waitFor(() => department.revision === 1, "the event");
  assert.deepEqual([...department.events.values()], [event]);

  await as(admin, "DELETE", `/api/departments/${id}/members/${lee.account.id}`);
  await waitFor(() => department.state === "deleted", "the end");
  assert.deepEqual(access, [{ department_id: id, role: "" }]);
  assert.equal(calendar.state, "online");

  await as(lee, "DELETE", "/api/session");
  await as(admin, "PUT", `/api/accounts/${lee.account.id}`, { disabled: true });
  await waitFor(() => calendar.state === "refused", "the second refusal");
  assert.deepEqual(errors, ["not_signed_in", "not_signed_in"]);
});
