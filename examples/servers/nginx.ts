/**
 * A WebSocket server behind nginx, or any proxy that cuts connections on which nothing moves.
 *
 *     npx tsx examples/servers/nginx.ts [ws://localhost:8080] [60]
 *
 * The number is the proxy's timeout in seconds. The program stays idle for longer than that, and says whether its
 * connection has survived.
 */
import { fileURLToPath } from "node:url"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Duration, Effect } from "effect"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"

// #region options
/** `proxyTimeout` is what nginx has as `proxy_read_timeout`, 60 seconds unless set. */
export const options = (url: string, proxyTimeout: Duration.Duration = Duration.minutes(1)) =>
  ({
    url,
    name: "behind-nginx",
    // A pong from the server counts as traffic in the proxy, so there has to be one in time, and one to spare.
    pingInterval: Duration.times(proxyTimeout, 1 / 3),
    // Without traffic of its own a connection can now live for as long as the pool wants it.
    idleTimeout: "10 minutes"
  }) satisfies WebSocketPool.Options

export const layer = (url: string, proxyTimeout?: Duration.Duration) =>
  NodeWebSocketPool.layer(options(url, proxyTimeout))
// #endregion

/** Asks, and tells over which connection. */
export const ask = (question: string) =>
  WebSocketPool.use((connection) =>
    connection.send(question).pipe(
      Effect.andThen(connection.receive),
      Effect.map((answer) => ({ answer, connectionId: connection.id }))
    )
  )

/** Whether a connection outlives the proxy's timeout without being used. */
export const survives = (proxyTimeout: Duration.Duration) =>
  Effect.gen(function* () {
    const before = yield* ask("before")
    yield* Effect.sleep(Duration.times(proxyTimeout, 1.5))
    const after = yield* ask("after")
    return before.connectionId === after.connectionId
  })

export const program = (proxyTimeout: Duration.Duration) =>
  Effect.gen(function* () {
    const survived = yield* survives(proxyTimeout)
    yield* Console.log(survived ? "the same connection served both" : "the proxy has cut the idle connection")
  })

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [url = "ws://localhost:8080", seconds = "60"] = process.argv.slice(2)
  const proxyTimeout = Duration.seconds(Number(seconds))
  NodeRuntime.runMain(Effect.provide(program(proxyTimeout), layer(url, proxyTimeout)))
}
