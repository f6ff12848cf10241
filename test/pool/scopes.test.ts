import { WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Scope from "#effect/Scope"
import { assert, describe, it } from "#support/vitest"
import { poolWith } from "../support/memoryPool.js"

const busy = Effect.map(WebSocketPool.stats, ({ busy }) => busy)

describe("the scope of a get", () => {
  it.effect("gives its leases back in turn with what else it finalises, the latest first", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const note = (name: string) =>
        Effect.addFinalizer(() => Effect.map(busy, (busy) => void seen.push(`${name}, ${busy} leased`)))
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* note("first")
          yield* WebSocketPool.get
          yield* note("second")
          yield* WebSocketPool.get
          yield* WebSocketPool.getNew
          yield* note("third")
        })
      )
      assert.deepStrictEqual(seen, ["third, 3 leased", "second, 1 leased", "first, 0 leased"])
    }).pipe(Effect.provide(poolWith()))
  )

  it.effect("has a lease for its only finaliser, or for its first", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(WebSocketPool.get)
      assert.strictEqual(yield* busy, 0)
      yield* Effect.scoped(
        Effect.andThen(
          WebSocketPool.get,
          Effect.addFinalizer(() => Effect.void)
        )
      )
      yield* Effect.scoped(Effect.all([WebSocketPool.get, WebSocketPool.get]))
      assert.strictEqual(yield* busy, 0)
    }).pipe(Effect.provide(poolWith()))
  )

  it.effect("ends the lease at once if it is closed already", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      yield* Scope.close(scope, Exit.void)
      const connection = yield* Scope.provide(WebSocketPool.get, scope)
      const { acquired, busy, released } = yield* WebSocketPool.stats
      assert.deepStrictEqual({ acquired, busy, released }, { acquired: 1, busy: 0, released: 1 })
      assert.strictEqual((yield* Effect.flip(connection.send("late")))._tag, "ConnectionBusyError")
    }).pipe(Effect.provide(poolWith()))
  )

  it.effect("may belong to another fiber, and end while that one waits in line", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pool = yield* WebSocketPool.WebSocketPool
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* pool.get
          yield* Effect.forkChild(Scope.provide(pool.get, scope))
          yield* Effect.yieldNow
          yield* Scope.close(scope, Exit.void)
        })
      )
      yield* Effect.yieldNow
      assert.strictEqual(yield* busy, 0)
    }).pipe(Effect.provide(poolWith({ maxConnections: 1 })))
  )
})
