import type { Socket } from "node:net"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketTransport } from "effect-websocket-pool/node"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import { assert, describe, it } from "#support/vitest"
import { wsServer } from "../fixtures/servers.js"
import { turns } from "../support/faults.js"

describe("close", () => {
  // It answered while the socket of the lease was still there, and that one's end was never told.
  for (const [what, held] of [
    ["a held lease", 1],
    ["several held leases", 5]
  ] as const) {
    it.live(`has told each end before its own, with ${what} and a server that never answers`, () =>
      Effect.gen(function* () {
        const { port } = yield* wsServer((peer) => {
          const raw: Socket = Reflect.get(peer, "_socket")
          raw.pause()
        })
        const [scope, wide] = [yield* Scope.make(), yield* Scope.make()]
        const pool = yield* Scope.provide(
          WebSocketPool.make({
            url: `ws://127.0.0.1:${port}`,
            shutdownTimeout: "50 millis",
            closeTimeout: "50 millis"
          }),
          scope
        )
        const tags: Array<string> = []
        const stream = yield* Effect.forkChild(
          Stream.runForEach(pool.events, ({ _tag }) => Effect.sync(() => tags.push(_tag)))
        )
        yield* turns(1)
        yield* Effect.replicateEffect(Scope.provide(pool.get, wide), held)
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
