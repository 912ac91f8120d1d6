// The same job done the usual way, to be measured beside ours: Express, Socket.IO, AWS SDK. A write is put
// and broadcast; a read queries the date index. No snapshots, no groups. `/api/events` keeps no log of
// changes, so what a client missed is lost; `/api/logged` writes one in the same transaction, as ours does.

import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import express from "express";
import { Server } from "socket.io";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, PutCommand, TransactWriteCommand, paginateQuery } from "@aws-sdk/lib-dynamodb";

const [port, endpoint, table, logTable] = process.argv.slice(2);
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

function newEvent(request) {
  const now = new Date().toISOString();
  const { title, event_date, description = "", time = "", url = "" } = request.body;
  return {
    id: randomUUID(),
    department_id: request.params.department,
    event_date, title, description, time, url, created_at: now, last_modified: now,
  };
}

function announce(event, response) {
  io.to(event.department_id).emit("event_created", event);
  response.status(201).json({ success: true, event });
}

app.post("/api/events/:department", async (request, response) => {
  const event = newEvent(request);
  await client.send(
    new PutCommand({ TableName: table, Item: event, ConditionExpression: "attribute_not_exists(id)" }),
  );
  announce(event, response);
});

const heads = new Map(); // department to the promise of its last revision: one transaction at a time

async function commit(event, revision) {
  const { department_id } = event;
  const entity = { ...event, revision };
  const condition = revision === 1 ? "attribute_not_exists(head)" : "head = :old";
  const values = revision === 1 ? { ":new": revision } : { ":new": revision, ":old": revision - 1 };
  await client.send(
    new TransactWriteCommand({
      TransactItems: [
        {
          Update: {
            TableName: logTable,
            Key: { department_id, revision: 0 },
            UpdateExpression: "SET head = :new",
            ConditionExpression: condition,
            ExpressionAttributeValues: values,
          },
        },
        { Put: { TableName: table, Item: entity, ConditionExpression: "attribute_not_exists(id)" } },
        {
          Put: {
            TableName: logTable,
            Item: { department_id, revision, type: "event_created", entity, at: event.created_at },
            ConditionExpression: "attribute_not_exists(revision)",
          },
        },
      ],
    }),
  );
  return revision;
}

app.post("/api/logged/:department", async (request, response) => {
  const event = newEvent(request);
  const before = heads.get(event.department_id) ?? Promise.resolve(0);
  const committed = before.then((head) => commit(event, head + 1));
  heads.set(event.department_id, committed);
  await committed;
  announce(event, response);
});

io.on("connection", (socket) => {
  socket.on("sync_request", async ({ department_id }) => {
    socket.join(department_id);
    socket.emit("sync_response", { department_id, full: true, events: await list(department_id) });
  });
});

server.listen(Number(port), "127.0.0.1");
