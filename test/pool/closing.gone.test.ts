import { type PoolEvent, WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { repeated } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { makeTransport } from "../support/handTransport.js"
import { notYet, now, settle, url } from "../support/memoryPool.js"

/** A server that answers no close, on a system that takes some turns of the event loop to be rid of a socket. */
const lingering = (turns: number) =>
  makeTransport({
    onDestroy: (socket) => {
      let left = turns
      const turn = () => {
        if (left-- > 0) setImmediate(turn)
        else socket.lose()
      }
      turn()
    }
  })

const turns = (n: number) =>
  repeated(
    Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void))),
    n
  )

const told = (events: ReadonlyArray<PoolEvent.PoolEvent>) =>
  events.map((event) =>
    event._tag === "ConnectionClosed" ? `${event._tag} ${event.reason} ${event.code}` : event._tag
  )

/** What is told of a pool that closes one connection under its lease. */
const cutOff = ["PoolClosing", "ConnectionRetiring", "ConnectionClosed Shutdown 1001", "PoolClosed"]

const options = { url, shutdownTimeout: "5 seconds", closeTimeout: "2 seconds" } as const

/** A pool with what it has told so far, and whether the stream of that has ended. */
const observed = (scope: Scope.Scope, more: Partial<WebSocketPool.Options> = {}) =>
  Effect.gen(function* () {
    const pool = yield* Scope.provide(WebSocketPool.make({ ...options, ...more }), scope)
    const events: Array<PoolEvent.PoolEvent> = []
    const stream = yield* Effect.forkChild(
      Stream.runForEach(pool.events, (event) =>
        Effect.sync(() => {
          events.push(event)
        })
      )
    )
    yield* settle
    return { pool, events, stream }
  })

describe("close answers when the sockets are gone", () => {
  // It answered, and told PoolClosed, while a socket was still there whose end nobody was ever told of.
  for (const slow of [0, 1]) {
    it.effect(`with a held lease and a server that never answers, ${slow} turns after it has destroyed them`, () => {
      const transport = lingering(slow)
      return Effect.gen(function* () {
        const [scope, wide] = [yield* Scope.make(), yield* Scope.make()]
        const { events, pool, stream } = yield* observed(scope)
        yield* Scope.provide(pool.get, wide)
        yield* settle
        events.length = 0

        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* TestClock.adjust("6999 millis")
        notYet(closing)
        yield* TestClock.adjust("1 millis")
        yield* turns(slow + 3)
        yield* settle
        yield* now(closing)

        const { closed, closing: leaving, opened, state, total } = yield* pool.stats
        assert.deepStrictEqual(
          { closed, closing: leaving, opened, state, total },
          { closed: 1, closing: 0, opened: 1, state: "closed", total: 0 }
        )
        assert.strictEqual(transport.live(), 0)
        yield* Fiber.join(stream)
        assert.deepStrictEqual(told(events), cutOff)
        yield* Scope.close(wide, Exit.void)
        assert.strictEqual((yield* pool.stats).released, 1)
      }).pipe(Effect.provide(transport.layer))
    })
  }

  it.effect("with many of them, leased, idle and closing already", () => {
    const transport = lingering(1)
    return Effect.gen(function* () {
      const [scope, wide] = [yield* Scope.make(), yield* Scope.make()]
      const { events, pool } = yield* observed(scope)
      yield* Effect.replicateEffect(Scope.provide(pool.get, wide), 3)
      yield* Effect.scoped(Effect.replicateEffect(pool.get, 3))
      yield* pool.use(({ discard }) => discard)
      events.length = 0
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("7 seconds")
      yield* turns(10)
      yield* settle
      yield* now(closing)
      const { closed, opened, total } = yield* pool.stats
      assert.deepStrictEqual({ closed, opened, total }, { closed: 6, opened: 6, total: 0 })
      assert.strictEqual(told(events).at(-1), "PoolClosed")
      assert.strictEqual(events.filter(({ _tag }) => _tag === "ConnectionClosed").length, 6)
      yield* Scope.close(wide, Exit.void)
    }).pipe(Effect.provide(transport.layer))
  })

  // A socket of Node's is gone within two turns.
  for (const slow of [1, 2, 3]) {
    it.effect(`when there is no time for anything, ${slow} turns after: shutdownTimeout and closeTimeout are 0`, () => {
      const transport = lingering(slow)
      return Effect.gen(function* () {
        const [scope, wide] = [yield* Scope.make(), yield* Scope.make()]
        const { events, pool } = yield* observed(scope, { shutdownTimeout: 0, closeTimeout: 0 })
        yield* Scope.provide(pool.get, wide)
        yield* settle
        events.length = 0
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* TestClock.adjust(0)
        yield* turns(slow + 4)
        yield* settle
        yield* now(closing)
        assert.deepStrictEqual(told(events), cutOff)
        yield* Scope.close(wide, Exit.void)
      }).pipe(Effect.provide(transport.layer))
    })
  }

  it.effect("and answers all the same when a socket is never gone", () => {
    const transport = makeTransport({ onDestroy: () => {} })
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { pool } = yield* observed(scope)
      yield* pool.use(() => Effect.void)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("7 seconds")
      yield* Fiber.join(closing)
      assert.strictEqual((yield* pool.stats).state, "closed")
    }).pipe(Effect.provide(transport.layer))
  })
})
