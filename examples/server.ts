/** An HTTP server without Effect that answers from a WebSocket server. `npx tsx examples/server.ts ws://localhost:8080 3000` */
import { createServer } from "node:http"
import { Effect, ManagedRuntime } from "effect"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"

const [url = "ws://localhost:8080", port = "3000"] = process.argv.slice(2)

// One pool for the life of the process. It is opened by the first request, and closed by `dispose`.
const runtime = ManagedRuntime.make(NodeWebSocketPool.layer({ url, shutdownTimeout: "5 seconds" }))

const ask = (question: string) =>
  WebSocketPool.use((connection) => Effect.andThen(connection.send(question), connection.receive)).pipe(
    Effect.timeout("5 seconds"),
    Effect.map(String)
  )

const server = createServer((request, response) => {
  // A client that hangs up interrupts its question, which gives the connection up.
  const hungUp = new AbortController()
  response.on("close", () => hungUp.abort())
  runtime.runPromise(ask(request.url ?? "/"), { signal: hungUp.signal }).then(
    (answer) => response.end(`${answer}\n`),
    () => response.writeHead(503, { "retry-after": "1" }).end("Try again later\n")
  )
})

server.listen(Number(port), "127.0.0.1", () => console.log("listening", server.address()))

// Kubernetes, systemd and Docker send it first. No new requests; those under way are answered; then the pool is closed.
process.once("SIGTERM", () => server.close(() => runtime.dispose()))
