import { PoolError, WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, it } from "#support/vitest"
import { answerCloses, makeTransport } from "../support/handTransport.js"
import { collect, expectTag, notYet, now, peers, poolWith, settle, url } from "../support/memoryPool.js"
import { lease } from "../support/wire.js"

const counts = Effect.map(WebSocketPool.stats, ({ acquired, busy, closed, opened, released, total, waiting }) => ({
  acquired,
  busy,
  closed,
  opened,
  released,
  total,
  waiting
}))

const pool = WebSocketPool.WebSocketPool

describe("a connection that is lost under a lease", () => {
  // It kept its place until its holder looked: others got PoolExhaustedError though there was no socket.
  for (const how of ["cut", "closed by the server"] as const) {
    const end = Effect.flatMap(peers, (all) => (how === "cut" ? all[0]!.destroy : all[0]!.close(1001)))

    it.effect(`frees its place at once: a get that waits is served, ${how}`, () =>
      Effect.gen(function* () {
        const first = yield* lease(yield* pool)
        const get = yield* Effect.tap(Effect.forkScoped(WebSocketPool.get), settle)
        notYet(get)
        yield* end
        yield* settle
        const second = yield* now(get)
        assert.notStrictEqual(second.id, first.connection.id)
        assert.deepStrictEqual(yield* counts, {
          acquired: 2,
          busy: 1,
          closed: 1,
          opened: 2,
          released: 0,
          total: 1,
          waiting: 0
        })
        yield* first.release
        assert.deepStrictEqual(yield* counts, {
          acquired: 2,
          busy: 1,
          closed: 1,
          opened: 2,
          released: 1,
          total: 1,
          waiting: 0
        })
        assert.strictEqual((yield* second.info).state, "busy")
      }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1 })))
    )

    it.effect(`keeps what was read for its holder, ${how}`, () =>
      Effect.gen(function* () {
        const { connection } = yield* lease(yield* pool)
        const [peer] = yield* peers
        yield* peer!.send("1")
        yield* peer!.send("2")
        yield* end
        yield* settle
        assert.strictEqual((yield* counts).total, 0)
        // Somebody else has its place meanwhile.
        const other = yield* WebSocketPool.get
        yield* (yield* peers)[1]!.send("another's")
        assert.deepStrictEqual([yield* connection.receive, yield* connection.receive], ["1", "2"])
        const error = yield* Effect.flip(connection.receive)
        expectTag(error, "ConnectionClosedError")
        assert.strictEqual(error.code, how === "cut" ? 1006 : 1001)
        assert.strictEqual((yield* connection.info).state, "closed")
        assert.strictEqual(yield* other.receive, "another's")
        assert.strictEqual((yield* WebSocketPool.stats).messagesDropped, 0)
      }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1 })))
    )
  }

  it.effect("counts what its holder leaves unread as dropped, when that is given back", () =>
    Effect.gen(function* () {
      const { release } = yield* lease(yield* pool)
      const [peer] = yield* peers
      yield* peer!.send("1")
      yield* peer!.destroy
      yield* settle
      assert.strictEqual((yield* WebSocketPool.stats).messagesDropped, 0)
      yield* release
      assert.strictEqual((yield* WebSocketPool.stats).messagesDropped, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("runs neither onRelease nor drain when it is given back", () => {
    const ran: Array<string> = []
    return Effect.gen(function* () {
      const { release } = yield* lease(yield* pool)
      yield* (yield* peers)[0]!.destroy
      yield* settle
      yield* release
      yield* settle
      assert.deepStrictEqual(ran, [])
      const { draining, idle, total } = yield* WebSocketPool.stats
      assert.deepStrictEqual({ draining, idle, total }, { draining: 0, idle: 0, total: 0 })
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith({ drain: { quietPeriod: "1 second" }, onRelease: ({ id }) => Effect.sync(() => ran.push(id)) })
      )
    )
  })

  it.effect("counts towards leakThreshold still, and once", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* pool)
      const { connection, release } = yield* lease(yield* pool)
      const leaks = () => events.filter(({ _tag }) => _tag === "LeaseLeakSuspected")
      yield* (yield* peers)[0]!.destroy
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual(leaks().length, 0)
      // It is looked for now and then, not at the very moment.
      yield* TestClock.adjust("30 seconds")
      assert.deepInclude(leaks()[0], { connectionId: connection.id })
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(leaks().length, 1)
      yield* release
    }).pipe(Effect.scoped, Effect.provide(poolWith({ leakThreshold: "30 seconds" })))
  )

  it.effect("is not waited for by close", () =>
    Effect.gen(function* () {
      yield* lease(yield* pool)
      yield* (yield* peers)[0]!.destroy
      yield* settle
      const closing = yield* Effect.forkChild((yield* pool).close)
      yield* settle
      yield* now(closing)
      assert.deepInclude(yield* counts, { acquired: 1, closed: 1, opened: 1, released: 0, total: 0 })
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("is replaced up to minConnections while it is held", () =>
    Effect.gen(function* () {
      yield* settle
      yield* lease(yield* pool)
      yield* TestClock.adjust("20 seconds")
      yield* (yield* peers)[0]!.destroy
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* counts, { busy: 0, opened: 2, total: 1 })
    }).pipe(Effect.scoped, Effect.provide(poolWith({ minConnections: 1 })))
  )

  it.effect("lets leases outnumber the sockets, however often it happens", () =>
    Effect.gen(function* () {
      for (let n = 0; n < 5; n++) {
        yield* lease(yield* pool)
        yield* (yield* peers)[n]!.destroy
        yield* settle
      }
      assert.deepInclude(yield* counts, { acquired: 5, busy: 0, released: 0, total: 0 })
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1, acquireTimeout: "1 second" })))
  )

  it.effect("between the grant and its acceptance is not given to the one who waited", () => {
    const transport = makeTransport({ onClose: answerCloses })
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({ url, maxConnections: 1 })
      const first = yield* lease(pool)
      const get = yield* Effect.forkScoped(pool.get)
      yield* settle
      notYet(get)
      // In one step: it is granted to who waits, and is gone before that fiber has run.
      yield* Effect.andThen(
        first.release,
        Effect.sync(() => transport.sockets[0]!.lose())
      )
      yield* settle
      const second = yield* now(get)
      assert.notStrictEqual(second.id, first.connection.id)
      assert.strictEqual((yield* second.info).state, "busy")
      const { busy, closed, opened, total } = yield* pool.stats
      assert.deepStrictEqual({ busy, closed, opened, total }, { busy: 1, closed: 1, opened: 2, total: 1 })
    }).pipe(Effect.scoped, Effect.provide(transport.layer))
  })
})

describe("maxWaiters: 0", () => {
  const closing = Effect.gen(function* () {
    const id = yield* WebSocketPool.use((connection) => Effect.as(connection.discard, connection.id))
    assert.strictEqual((yield* WebSocketPool.stats).closing, 1)
    return id
  })

  // It failed with "0 of 1 leased".
  it.effect("lets a get wait for the place of a closing socket", () =>
    Effect.gen(function* () {
      yield* Effect.andThen(
        WebSocketPool.use(() => Effect.void),
        Effect.flatMap(peers, (all) => all[0]!.silence)
      )
      const id = yield* closing
      const get = yield* Effect.tap(Effect.forkScoped(WebSocketPool.get), settle)
      notYet(get)
      // One place serves one of them.
      const error = yield* Effect.flip(Effect.scoped(WebSocketPool.get))
      expectTag(error, "PoolExhaustedError")
      assert.strictEqual(error.reason, "TooManyWaiters")
      yield* TestClock.adjust("1999 millis")
      notYet(get)
      yield* TestClock.adjust("1 millis")
      yield* settle
      assert.notStrictEqual((yield* now(get)).id, id)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1, maxWaiters: 0, closeTimeout: "2 seconds" })))
  )

  for (const [what, options] of [
    ["leased", {}],
    ["draining", { drain: { quietPeriod: "1 minute", timeout: "2 minutes" } }]
  ] as const) {
    it.effect(`fails at once when all of them are ${what}`, () =>
      Effect.gen(function* () {
        if (what === "leased") yield* WebSocketPool.get
        else yield* WebSocketPool.use(() => Effect.void)
        const get = yield* Effect.tap(Effect.forkScoped(Effect.flip(WebSocketPool.get)), settle)
        const error = yield* now(get)
        assert.instanceOf(error, PoolError.PoolExhaustedError)
        assert.strictEqual(error.reason, "TooManyWaiters")
      }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, maxConnections: 1, maxWaiters: 0 })))
    )
  }

  it.effect("opens a connection for each get below the limit, and serves who waits for it", () =>
    Effect.gen(function* () {
      const gets = yield* Effect.replicateEffect(Effect.forkScoped(WebSocketPool.get), 3)
      yield* settle
      const ids = new Set<string>()
      for (const get of gets) ids.add((yield* Fiber.join(get)).id)
      assert.strictEqual(ids.size, 3)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 3, maxWaiters: 0 })))
  )
})
