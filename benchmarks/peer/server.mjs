// The same job done the usual way, to be measured beside ours: Express, Socket.IO, AWS SDK. A write is put
// and broadcast; a read queries the date index. No change log, no snapshots.

import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import express from "express";
import { Server } from "socket.io";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, PutCommand, paginateQuery } from "@aws-sdk/lib-dynamodb";

const [port, endpoint, table] = process.argv.slice(2);
const client = DynamoDBDocumentClient.from(
  new DynamoDBClient({
    endpoint,
    region: "ap-northeast-2",
    credentials: { accessKeyId: "x", secretAccessKey: "x" },
  }),
);
const app = express();
const server = createServer(app);
const io = new Server(server);
app.use(express.json({ limit: "1mb" }));

async function list(departmentId) {
  const events = [];
  const query = {
    TableName: table,
    IndexName: "department-date-index",
    KeyConditionExpression: "department_id = :d",
    ExpressionAttributeValues: { ":d": departmentId },
  };
  for await (const page of paginateQuery({ client }, query)) events.push(...page.Items);
  return events;
}

app.get("/api/events/:department", async (request, response) => {
  response.json({ success: true, events: await list(request.params.department) });
});

app.post("/api/events/:department", async (request, response) => {
  const now = new Date().toISOString();
  const { title, event_date, description = "", time = "", url = "" } = request.body;
  const event = {
    id: randomUUID(),
    department_id: request.params.department,
    event_date, title, description, time, url, created_at: now, last_modified: now,
  };
  await client.send(
    new PutCommand({ TableName: table, Item: event, ConditionExpression: "attribute_not_exists(id)" }),
  );
  io.to(event.department_id).emit("event_created", event);
  response.status(201).json({ success: true, event });
});

io.on("connection", (socket) => {
  socket.on("sync_request", async ({ department_id }) => {
    socket.join(department_id);
    socket.emit("sync_response", { department_id, full: true, events: await list(department_id) });
  });
});

server.listen(Number(port), "127.0.0.1");
