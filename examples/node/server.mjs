// One worker of the pool. pm tells it its PORT, and with a SIGTERM when it is to go.

import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const port = Number(process.env.PORT);
let isLeaving = false;

const server = createServer(async (request, response) => {
  const path = request.url.split("?")[0];
  if (path === "/slow") {
    console.log("a slow answer has begun");
    await sleep(1_000);
  }
  // A client that keeps this connection would send its next request to a worker that is about to exit.
  if (isLeaving) response.setHeader("connection", "close");
  response.setHeader("content-type", "text/plain; charset=utf-8");
  switch (path) {
    case "/":
    case "/slow":
      return response.end(`Hello from ${process.env.PS}\n`);
    case "/up":
      // The place to look at what an answer needs, a database for one. A 503 here takes this worker for hung.
      return response.end("up\n");
    default:
      response.statusCode = 404;
      return response.end("there is no such page\n");
  }
});

// A server that cannot have its port says so and exits 1: pm tries again, with longer and longer rests.
server.listen(port, "127.0.0.1", () => console.log(`listening on http://localhost:${port}/`));

// No new connections; the idle ones close, the others when they have their answer, and then nothing keeps Node here.
process.once("SIGTERM", () => {
  isLeaving = true;
  server.close();
  server.closeIdleConnections();
});
