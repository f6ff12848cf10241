import { WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, it } from "#support/vitest"
import { answerCloses, answerPings, makeTransport } from "../support/handTransport.js"
import { expectTag, notYet, now, settle } from "../support/memoryPool.js"

/** The pool's shutdown, which comes after this, waits for sockets that do not close. */
const goOn = Effect.addFinalizer(() => Effect.forkDetach(TestClock.adjust("1 minute")))

/** Leases as many connections, each in a scope of its own. */
const leases = (pool: WebSocketPool.WebSocketPool, count: number) =>
  Effect.replicateEffect(
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      yield* Scope.provide(pool.get, scope)
      return scope
    }),
    count
  )

describe("a get whose connection ends while it is validated, at the limit", () => {
  it.effect("takes what is given back meanwhile, and does not wait for a socket that will not close", () => {
    const transport = makeTransport()
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({ url: "ws://server.test", maxConnections: 2 })
      yield* goOn
      const [first, second] = yield* leases(pool, 2)
      yield* Scope.close(first!, Exit.void)
      yield* TestClock.adjust("6 seconds")
      const get = yield* Effect.forkChild(Effect.scoped(pool.get))
      yield* settle
      const [ending, other] = transport.sockets
      assert.lengthOf(ending!.pings, 1)

      // The server has begun to close right behind its answer, and leaves it at that.
      ending!.isOpen = false
      ending!.pong()
      yield* settle
      notYet(get)
      assert.strictEqual((yield* pool.stats).waiting, 1)

      yield* Scope.close(second!, Exit.void)
      yield* settle
      yield* now(get)
      assert.strictEqual(other!.closes.length, 0)
    }).pipe(Effect.provide(transport.layer))
  })
})

describe("a getNew whose connection is out of date once it is open", () => {
  it.effect("gets the next one, below the limit, though the server does not answer the closing handshake", () => {
    const transport = makeTransport({ connect: () => Effect.sleep("1 second") })
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({ url: "ws://server.test", maxConnections: 2 })
      yield* goOn
      const getNew = yield* Effect.forkChild(Effect.scoped(pool.getNew))
      yield* TestClock.adjust("500 millis")
      yield* pool.refresh
      yield* TestClock.adjust("1499 millis")
      notYet(getNew)
      assert.strictEqual((yield* pool.stats).closing, 1)
      yield* TestClock.adjust("1 millis")
      yield* now(getNew)
      assert.strictEqual((yield* pool.stats).closing, 1)
    }).pipe(Effect.provide(transport.layer))
  })
})

describe("maxWaiters: 0 after shrinking", () => {
  it.effect("fails at once when those that close leave no place, since the limit is lower now", () => {
    const transport = makeTransport()
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({ url: "ws://server.test", maxConnections: 4, maxWaiters: 0 })
      yield* goOn
      const [first, second, ...others] = yield* leases(pool, 4)
      yield* Scope.close(first!, Exit.void)
      yield* Scope.close(second!, Exit.void)
      yield* pool.resize({ maxConnections: 2 })
      const { busy, closing } = yield* pool.stats
      assert.deepStrictEqual({ busy, closing }, { busy: 2, closing: 2 })

      const error = yield* Effect.flip(Effect.scoped(pool.get))
      expectTag(error, "PoolExhaustedError")
      assert.strictEqual(error.reason, "TooManyWaiters")

      // Of three that may be there, two are: the next place is one to wait for.
      yield* pool.resize({ maxConnections: 3 })
      const get = yield* Effect.forkChild(Effect.scoped(pool.get))
      yield* settle
      notYet(get)
      for (const socket of transport.sockets) if (!socket.isOpen) socket.lose(1000)
      yield* settle
      yield* now(get)
      for (const scope of others) yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.provide(transport.layer))
  })
})

describe("a connection that ends under its healthCheck", () => {
  it.effect("says nothing of the others: they are not checked before their time", () => {
    const transport = makeTransport({ onPing: answerPings, onClose: answerCloses })
    let checks = 0
    const healthCheck = () =>
      Effect.suspend(() => {
        checks += 1
        return checks === 1 ? Effect.never : Effect.void
      })
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({ url: "ws://server.test", pingInterval: "20 seconds", healthCheck })
      const [first, ...others] = yield* leases(pool, 3)
      yield* Scope.close(first!, Exit.void)
      yield* TestClock.adjust("6 seconds")
      for (const scope of others) yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("14 seconds")
      assert.strictEqual(checks, 1)

      transport.sockets[0]!.lose(1000)
      yield* settle
      assert.strictEqual(checks, 1)
      assert.strictEqual((yield* pool.stats).idle, 2)

      // Now it has come.
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(checks, 3)
    }).pipe(Effect.provide(transport.layer))
  })
})
