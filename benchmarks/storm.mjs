// Has many clients connect and sync at once; prints the milliseconds until all have their answer.
// With a token they return as browsers do: they join and get what they missed. Without one they get everything.
// Usage: node storm.mjs URL DEPARTMENT COUNT [TOKEN]

import { io } from "socket.io-client";

const [url, department_id, count, sync_token = ""] = process.argv.slice(2);
const [message, payload] = sync_token
  ? ["join_department", { department_id, sync_token }]
  : ["sync_request", { department_id }];
const begun = performance.now();
const answers = Array.from({ length: Number(count) }, () => {
  const socket = io(url, { transports: ["websocket"], forceNew: true, reconnection: false });
  socket.on("connect", () => socket.emit(message, payload));
  return new Promise((resolve, reject) => {
    socket.on("sync_response", () => resolve(socket));
    socket.on("connect_error", reject);
  });
});
const sockets = await Promise.all(answers);
console.log(Math.round(performance.now() - begun));
for (const socket of sockets) socket.disconnect();
