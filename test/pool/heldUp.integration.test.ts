import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Schedule from "#effect/Schedule"
import { assert, describe, it } from "#support/vitest"
import { wsServer } from "../fixtures/servers.js"
import { turns } from "../support/faults.js"

/** Keeps the event loop from running. */
const holdUp = (millis: number) =>
  Effect.sync(() => {
    const end = performance.now() + millis
    while (performance.now() < end);
  })

const server = Effect.map(
  wsServer((peer) => {
    peer.on("message", (data: Buffer) => peer.send(data))
  }),
  ({ port }) => `ws://127.0.0.1:${port}/`
)

describe("a program that was held up for longer than a deadline", () => {
  it.live("does not lose the connection that it was opening", () =>
    Effect.gen(function* () {
      const url = yield* server
      yield* Effect.gen(function* () {
        const get = yield* Effect.forkScoped(WebSocketPool.get)
        yield* Effect.yieldNow
        yield* holdUp(700)
        yield* Fiber.join(get)
        const { connectFailures, opened } = yield* WebSocketPool.stats
        assert.deepStrictEqual({ connectFailures, opened }, { connectFailures: 0, opened: 1 })
      }).pipe(
        Effect.scoped,
        Effect.provide(NodeWebSocketPool.layer({ url, connectTimeout: "300 millis", retry: Schedule.recurs(0) }))
      )
    })
  )

  it.live("does not lose the connection that it was validating", () =>
    Effect.gen(function* () {
      const url = yield* server
      yield* Effect.gen(function* () {
        const { id } = yield* WebSocketPool.use((connection) => Effect.succeed({ id: connection.id }))
        yield* Effect.sleep("30 millis")
        const get = yield* Effect.forkScoped(WebSocketPool.get)
        yield* Effect.yieldNow
        assert.strictEqual((yield* WebSocketPool.stats).waiting, 1)
        yield* holdUp(700)
        assert.strictEqual((yield* Fiber.join(get)).id, id)
        assert.strictEqual((yield* WebSocketPool.stats).healthCheckFailures, 0)
      }).pipe(
        Effect.scoped,
        Effect.provide(NodeWebSocketPool.layer({ url, validateAfterIdle: "20 millis", pingTimeout: "300 millis" }))
      )
    })
  )

  it.live("does not lose the connection that it was pinging", () =>
    Effect.gen(function* () {
      const url = yield* server
      yield* Effect.gen(function* () {
        const connection = yield* WebSocketPool.get
        const ping = yield* Effect.forkScoped(connection.ping)
        yield* Effect.yieldNow
        yield* holdUp(700)
        yield* Fiber.join(ping)
        yield* turns(5)
        assert.strictEqual((yield* WebSocketPool.stats).closed, 0)
      }).pipe(Effect.scoped, Effect.provide(NodeWebSocketPool.layer({ url, pingTimeout: "300 millis" })))
    })
  )
})
