import type { Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketTransport } from "effect-websocket-pool/node"
import { wsServer } from "../fixtures/servers.js"
import { turns } from "../support/faults.js"

describe("close", () => {
  // It answered while the socket of the lease was still there, and that one's end was never told.
  for (const [what, held] of [
    ["a held lease", 1],
    ["several held leases", 5]
  ] as const) {
    it.scopedLive(`has told each end before its own, with ${what} and a server that never answers`, () =>
      Effect.gen(function* () {
        const { port } = yield* wsServer((peer) => {
          const raw: Socket = Reflect.get(peer, "_socket")
          raw.pause()
        })
        const [scope, wide] = [yield* Scope.make(), yield* Scope.make()]
        const pool = yield* Scope.extend(
          WebSocketPool.make({
            url: `ws://127.0.0.1:${port}`,
            shutdownTimeout: "50 millis",
            closeTimeout: "50 millis"
          }),
          scope
        )
        const tags: Array<string> = []
        const stream = yield* Effect.fork(
          Stream.runForEach(pool.events, ({ _tag }) => Effect.sync(() => tags.push(_tag)))
        )
        yield* turns(1)
        yield* Effect.replicateEffect(Scope.extend(pool.get, wide), held)
        yield* Scope.close(scope, Exit.void)
        const { closed, closing, opened, state, total } = yield* pool.stats
        assert.deepStrictEqual(
          { closed, closing, opened, state, total },
          { closed: held, closing: 0, opened: held, state: "closed", total: 0 }
        )
        yield* Fiber.join(stream)
        assert.strictEqual(tags.filter((tag) => tag === "ConnectionClosed").length, held)
        assert.strictEqual(tags.at(-1), "PoolClosed")
        yield* Scope.close(wide, Exit.void)
      }).pipe(Effect.provide(NodeWebSocketTransport.layer()))
    )
  }
})
