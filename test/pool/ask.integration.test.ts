import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketTransport } from "effect-websocket-pool/node"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import { interruptNow } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { type Listening, wsServer } from "../fixtures/servers.js"
import { until } from "../support/faults.js"

const at = ({ port }: Listening): string => `ws://127.0.0.1:${port}/`

describe("ask, over real sockets", () => {
  it.live("gives each of many askers its own reply, text and binary, short and long", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* wsServer((peer) =>
          peer.on("message", (data, isBinary) => peer.send(data, { binary: isBinary }))
        )
        const pool = yield* WebSocketPool.make({ url: at(server), maxConnections: 4 })
        yield* Effect.forEach(
          Array.from({ length: 400 }, (_, index) => index),
          (index) =>
            Effect.gen(function* () {
              const text = `${index} ${"x".repeat(index % 20 === 0 ? 200_000 : index)}`
              const message = index % 3 === 0 ? new Uint8Array(new TextEncoder().encode(text)) : text
              assert.deepStrictEqual(yield* pool.ask(message), message)
            }),
          { concurrency: 64, discard: true }
        )
        const { acquired, closed, opened, released } = yield* pool.stats
        assert.deepStrictEqual(
          { acquired, closed, opened, released },
          { acquired: 400, closed: 0, opened: 4, released: 400 }
        )
      }).pipe(Effect.provide(NodeWebSocketTransport.layer()))
    )
  )

  it.live("never gives a late reply to another asker, however many give up", () =>
    Effect.scoped(
      Effect.gen(function* () {
        let asked = 0
        // Who gives up is answered when two more have.
        const late: Array<() => void> = []
        const server = yield* wsServer((peer) =>
          peer.on("message", (data) => {
            asked += 1
            const answer = () => peer.send(data.toString())
            if (!data.toString().startsWith("given up")) answer()
            else late.push(answer)
            if (late.length > 2) late.shift()?.()
          })
        )
        const pool = yield* WebSocketPool.make({ url: at(server), maxConnections: 3, acquireTimeout: "20 seconds" })
        yield* Effect.forEach(
          Array.from({ length: 60 }, (_, index) => index),
          (index) =>
            Effect.gen(function* () {
              if (index % 3 === 0) {
                const fiber = yield* Effect.forkChild(pool.ask(`given up ${index}`))
                yield* until(() => asked > 0)
                interruptNow(fiber)
                const exit = yield* Fiber.await(fiber)
                if (Exit.isSuccess(exit)) assert.strictEqual(exit.value, `given up ${index}`)
              } else assert.strictEqual(yield* pool.ask(`wanted ${index}`), `wanted ${index}`)
            }),
          { concurrency: 12, discard: true }
        )
        yield* pool.close
        const { acquired, released, waiting } = yield* pool.stats
        assert.deepStrictEqual({ released, waiting }, { released: acquired, waiting: 0 })
      }).pipe(Effect.provide(NodeWebSocketTransport.layer()))
    )
  )

  it.live("fails when the server ends the connection in place of a reply, and asks anew on the next one", () =>
    Effect.scoped(
      Effect.gen(function* () {
        let connections = 0
        const server = yield* wsServer((peer) => {
          connections += 1
          const isFirst = connections === 1
          peer.on("message", (data) => {
            if (isFirst) peer.close(1011, "no")
            else peer.send(data.toString())
          })
        })
        const pool = yield* WebSocketPool.make({ url: at(server) })
        const error = yield* Effect.flip(pool.ask("one"))
        assert.strictEqual(error._tag === "ConnectionClosedError" ? error.code : error._tag, 1011)
        assert.strictEqual(yield* pool.ask("two"), "two")
      }).pipe(Effect.provide(NodeWebSocketTransport.layer()))
    )
  )
})
