import { type PoolEvent, WebSocketPool } from "effect-websocket-pool"
import * as Deferred from "#effect/Deferred"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as TestClock from "#effect/testing/TestClock"
import { defectsOf, interruptNow, poll, steppingScheduler, withScheduler } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { answerPings, type HandSocket, makeTransport } from "../support/handTransport.js"
import { collect, expectTag, notYet, now } from "../support/memoryPool.js"
import { echo, lease, makeServer, quiet, scenario, settle } from "../support/wire.js"

type Pool = WebSocketPool.WebSocketPool

const occupied = (pool: Pool) =>
  Effect.map(pool.stats, ({ busy, idle, total, waiting }) => ({ busy, idle, total, waiting }))

const counted = (pool: Pool) =>
  Effect.map(pool.stats, ({ acquired, discarded, released }) => ({ acquired, discarded, released }))

/** Interrupts a fiber, which ends at once. */
const interrupt = (fiber: Fiber.Fiber<unknown, unknown>) =>
  Effect.gen(function* () {
    interruptNow(fiber)
    yield* settle
    const exit = poll(fiber)
    assert.isTrue(exit !== undefined && Exit.hasInterrupts(exit), "it was interrupted at once")
  })

/** Leaves it to the test what the server does, and asserts that nothing is left of a pool in the end. */
const byHand = <A, E>(
  options: Partial<WebSocketPool.Options>,
  body: (pool: Pool, sockets: ReadonlyArray<HandSocket>) => Effect.Effect<A, E>
) => {
  const { layer, sockets } = makeTransport({
    onPing: answerPings,
    onClose: (socket) => queueMicrotask(() => socket.lose(1000))
  })
  return Effect.scoped(
    Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({ ...quiet, ...options })
      yield* body(pool, sockets)
      yield* pool.close
      const { acquired, closed, opened, released, total } = yield* pool.stats
      assert.deepStrictEqual({ closed, released, total }, { closed: opened, released: acquired, total: 0 })
    })
  ).pipe(Effect.provide(layer))
}

describe("ask", () => {
  it.effect("sends a message and gives the next one, text or binary, and gives the connection back", () =>
    scenario(echo(), {}, (pool) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* pool.ask("hello"), "hello")
        assert.deepStrictEqual(yield* pool.ask(new Uint8Array([1, 2])), new Uint8Array([1, 2]))
        assert.deepStrictEqual(yield* occupied(pool), { busy: 0, idle: 1, total: 1, waiting: 0 })
        assert.deepStrictEqual(yield* counted(pool), { acquired: 2, discarded: 0, released: 2 })
      })
    )
  )

  it.effect("waits in the same line as leases do, first come, first served", () => {
    const server = echo()
    return scenario(server, { maxConnections: 1 }, (pool) =>
      Effect.gen(function* () {
        const first = yield* lease(pool)
        const done: Array<unknown> = []
        const asks = (message: string) => Effect.forkChild(Effect.map(pool.ask(message), (reply) => done.push(reply)))
        const uses = (message: string) =>
          Effect.forkChild(
            pool.use((connection) =>
              Effect.flatMap(Effect.andThen(connection.send(message), connection.receive), (reply) =>
                Effect.sync(() => done.push(reply))
              )
            )
          )
        const fibers = [yield* asks("a"), yield* uses("b"), yield* asks("c"), yield* asks("d"), yield* uses("e")]
        yield* settle
        assert.deepStrictEqual(yield* occupied(pool), { busy: 1, idle: 0, total: 1, waiting: 5 })
        yield* first.release
        for (const fiber of fibers) yield* Fiber.join(fiber)
        assert.deepStrictEqual(done, ["a", "b", "c", "d", "e"])
        assert.deepStrictEqual(server.peers[0]?.heard, ["a", "b", "c", "d", "e"])
      })
    )
  })

  it.effect("is written in the step that gives the connection back", () =>
    byHand({ maxConnections: 1 }, (pool, sockets) =>
      Effect.gen(function* () {
        const first = yield* Effect.forkChild(pool.ask("first"))
        yield* settle
        const second = yield* Effect.forkChild(pool.ask("second"))
        yield* settle
        const [socket] = sockets
        assert.deepStrictEqual(socket?.sent, ["first"])
        socket?.message("one")
        assert.deepStrictEqual(socket?.sent, ["first", "second"], "no fiber has had a turn since")
        socket?.message("two")
        assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second)], ["one", "two"])
      })
    )
  )

  it.effect("gives each asker its own reply on many connections", () =>
    scenario(echo(), { maxConnections: 3 }, (pool) =>
      Effect.gen(function* () {
        const messages = Array.from({ length: 50 }, (_, index) => `message ${index}`)
        const replies = yield* Effect.forEach(messages, (message) => pool.ask(message), { concurrency: "unbounded" })
        assert.deepStrictEqual(replies, messages)
        assert.strictEqual((yield* pool.stats).opened, 3)
      })
    )
  )

  it.live("gives each asker its own reply, wherever its fiber lets others go first", () =>
    Effect.gen(function* () {
      for (let seed = 1; seed <= 40; seed++) {
        let state = seed
        const random = (below: number): number => {
          state = (Math.imul(state, 1103515245) + 12345) >>> 0
          return (state >>> 16) % below
        }
        let steps = 12
        const scheduler = steppingScheduler((fiber) => {
          // A yield is made of some steps itself.
          if (fiber.currentOpCount <= steps) return false
          steps = 12 + random(12)
          return true
        })
        yield* scenario(echo(), { maxConnections: 3 }, (pool) =>
          Effect.gen(function* () {
            const asked = Array.from({ length: 8 }, (_, who) =>
              Array.from({ length: 8 }, (_, number) => `${who}: ${number}`)
            )
            const asking = Effect.forEach(
              asked,
              (messages) => Effect.forEach(messages, (message) => pool.ask(message)),
              {
                concurrency: "unbounded"
              }
            )
            assert.deepStrictEqual(yield* withScheduler(asking, scheduler), asked)
          })
        )
      }
    })
  )

  it.effect("takes the greeting of a connection's first lease for its reply, as use does", () =>
    scenario(echo({ onPeer: (peer) => peer.send("welcome") }), { minConnections: 1 }, (pool) =>
      Effect.gen(function* () {
        yield* settle
        assert.strictEqual(yield* pool.ask("hello"), "welcome")
      })
    )
  )

  it.effect("closes a connection on which more came than the reply", () =>
    scenario(makeServer({ onMessage: (peer) => Effect.andThen(peer.send("reply"), peer.send("more")) }), {}, (pool) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* pool.ask("hello"), "reply")
        yield* settle
        const { messagesDropped, total } = yield* pool.stats
        assert.deepStrictEqual({ messagesDropped, total }, { messagesDropped: 1, total: 0 })
      })
    )
  )

  it.effect("dies of what is no message, and leases nothing", () =>
    scenario(echo(), {}, (pool) =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(pool.ask({ hello: 1 } as unknown as string))
        const [defect] = Exit.isFailure(exit) ? defectsOf(exit.cause) : []
        assert.match(String(defect), /TypeError: ask takes a string or a Uint8Array, and got .*JSON\.stringify/)
        assert.deepStrictEqual(yield* counted(pool), { acquired: 0, discarded: 0, released: 0 })
        assert.strictEqual((yield* pool.stats).opened, 0)
      })
    )
  )

  it.effect("dies of what a transport's send throws, and keeps no lease", () =>
    byHand({}, (pool, sockets) =>
      Effect.gen(function* () {
        yield* pool.use(() => Effect.void)
        const socket = sockets[0]!
        socket.send = () => {
          throw new Error("broken")
        }
        const exit = yield* Effect.exit(pool.ask("hello"))
        assert.match(String(Exit.isFailure(exit) ? defectsOf(exit.cause)[0] : undefined), /broken/)
        yield* settle
        assert.deepStrictEqual(yield* counted(pool), { acquired: 2, discarded: 1, released: 2 })
      })
    )
  )

  it.effect("is an event of a lease that begins and ends, with what it waited and took", () =>
    scenario(echo(), { maxConnections: 1 }, (pool) =>
      Effect.gen(function* () {
        const events = yield* collect(pool)
        const first = yield* lease(pool)
        const fiber = yield* Effect.forkChild(pool.ask("hello"))
        yield* settle
        yield* TestClock.adjust("3 seconds")
        yield* first.release
        yield* Fiber.join(fiber)
        yield* settle
        const [acquired] = events.filter(({ _tag }) => _tag === "Acquired").slice(1)
        expectTag(acquired as PoolEvent.PoolEvent, "Acquired")
        assert.strictEqual(Duration.toMillis((acquired as { waited: Duration.Duration }).waited), 3000)
        assert.strictEqual(events.filter(({ _tag }) => _tag === "Released").length, 2)
      })
    )
  )
})

describe("an ask in line", () => {
  it.effect("fails with PoolExhaustedError once acquireTimeout has passed, and is never written", () => {
    const server = echo()
    return scenario(server, { maxConnections: 1, acquireTimeout: "5 seconds" }, (pool) =>
      Effect.gen(function* () {
        const first = yield* lease(pool)
        const fiber = yield* Effect.forkChild(Effect.flip(pool.ask("late")))
        yield* TestClock.adjust("4999 millis")
        notYet(fiber)
        yield* TestClock.adjust("1 millis")
        const error = yield* now(fiber)
        expectTag(error, "PoolExhaustedError")
        assert.strictEqual(error.reason, "AcquireTimeout")
        yield* first.release
        yield* settle
        assert.deepStrictEqual(server.peers[0]?.heard, [])
      })
    )
  })

  it.effect("counts towards maxWaiters", () =>
    scenario(echo(), { maxConnections: 1, maxWaiters: 1 }, (pool) =>
      Effect.gen(function* () {
        const first = yield* lease(pool)
        const fiber = yield* Effect.forkChild(pool.ask("first"))
        yield* settle
        const error = yield* Effect.flip(pool.ask("second"))
        expectTag(error, "PoolExhaustedError")
        assert.strictEqual(error.reason, "TooManyWaiters")
        yield* first.release
        assert.strictEqual(yield* Fiber.join(fiber), "first")
      })
    )
  )

  it.effect("fails with PoolClosedError when the pool closes, and so does one that comes later", () =>
    scenario(echo(), { maxConnections: 1, shutdownTimeout: "1 second" }, (pool) =>
      Effect.gen(function* () {
        const first = yield* lease(pool)
        const fiber = yield* Effect.forkChild(Effect.flip(pool.ask("hello")))
        yield* settle
        const closing = yield* Effect.forkChild(pool.close)
        yield* settle
        expectTag(yield* now(fiber), "PoolClosedError")
        expectTag(yield* Effect.flip(pool.ask("later")), "PoolClosedError")
        yield* first.release
        yield* settle
        yield* now(closing)
      })
    )
  )

  it.effect("fails with ConnectionUnavailableError when no connection can be opened", () =>
    scenario(echo({ accept: () => Effect.fail(403) }), {}, (pool) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(pool.ask("hello"))
        expectTag(error, "ConnectionUnavailableError")
        assert.strictEqual(error.status, 403)
      })
    )
  )

  it.effect("interrupted, leaves the line within 100 ms, and is never written", () => {
    const server = echo()
    return scenario(server, { maxConnections: 1 }, (pool) =>
      Effect.gen(function* () {
        const first = yield* lease(pool)
        const fiber = yield* Effect.forkChild(pool.ask("given up"))
        yield* settle
        assert.deepStrictEqual(yield* occupied(pool), { busy: 1, idle: 0, total: 1, waiting: 1 })
        yield* interrupt(fiber)
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual(yield* occupied(pool), { busy: 1, idle: 0, total: 1, waiting: 0 })
        yield* first.release
        yield* settle
        assert.deepStrictEqual(yield* occupied(pool), { busy: 0, idle: 1, total: 1, waiting: 0 })
        assert.deepStrictEqual(server.peers[0]?.heard, [])
      })
    )
  })

  it.effect("interrupted just before its turn, is passed over", () => {
    const server = echo()
    return scenario(server, { maxConnections: 1 }, (pool) =>
      Effect.gen(function* () {
        const first = yield* lease(pool)
        const given = yield* Effect.forkChild(pool.ask("given up"))
        const next = yield* Effect.forkChild(pool.ask("next"))
        yield* settle
        yield* interrupt(given)
        yield* first.release
        assert.strictEqual(yield* Fiber.join(next), "next")
        assert.deepStrictEqual(server.peers[0]?.heard, ["next"])
        assert.deepStrictEqual(yield* counted(pool), { acquired: 2, discarded: 0, released: 2 })
      })
    )
  })

  it.effect("interrupted while its connection opens, leaves it to the next", () => {
    const gate = Deferred.makeUnsafe<void>()
    const server = echo({ accept: () => Deferred.await(gate) })
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(pool.ask("given up"))
        yield* settle
        yield* interrupt(fiber)
        yield* Deferred.succeed(gate, undefined)
        yield* settle
        assert.deepStrictEqual(yield* occupied(pool), { busy: 0, idle: 1, total: 1, waiting: 0 })
        assert.strictEqual(yield* pool.ask("next"), "next")
        assert.deepStrictEqual(server.peers[0]?.heard, ["next"])
      })
    )
  })

  it.effect("gets another connection when the one it was granted has been refreshed meanwhile", () =>
    byHand({ maxConnections: 2 }, (pool, sockets) =>
      Effect.gen(function* () {
        const held = yield* Effect.forkChild(pool.ask("held"))
        yield* settle
        yield* pool.refresh
        const fiber = yield* Effect.forkChild(pool.ask("hello"))
        yield* settle
        sockets[0]?.message("first")
        sockets[1]?.message("second")
        assert.deepStrictEqual([yield* Fiber.join(held), yield* Fiber.join(fiber)], ["first", "second"])
        assert.deepStrictEqual(sockets[0]?.sent, ["held"])
      })
    )
  )

  for (const [how, options] of [
    ["a ping", {}],
    ["healthCheck", { healthCheck: () => Effect.void }]
  ] as const) {
    it.effect(`waits until ${how} has validated a connection that was silent`, () => {
      const server = echo()
      return scenario(server, { ...options, validateAfterIdle: "5 seconds" }, (pool) =>
        Effect.gen(function* () {
          yield* pool.ask("warm up")
          yield* TestClock.adjust("5 seconds")
          yield* pool.ask("no need")
          yield* TestClock.adjust("5001 millis")
          const before = server.counts.pings
          assert.strictEqual(yield* pool.ask("validated"), "validated")
          assert.strictEqual(server.counts.pings - before, how === "a ping" ? 1 : 0)
          assert.strictEqual((yield* pool.stats).opened, 1)
        })
      )
    })
  }

  it.effect("is written to a new connection when the silent one does not answer within a second", () => {
    const server = echo({
      onPeer: (peer, index) => (index === 0 ? Effect.delay(peer.silence, "1 second") : Effect.void)
    })
    return scenario(server, { validateAfterIdle: "5 seconds", closeTimeout: 0 }, (pool) =>
      Effect.gen(function* () {
        yield* pool.ask("warm up")
        yield* TestClock.adjust("6 seconds")
        const fiber = yield* Effect.forkChild(pool.ask("hello"))
        yield* TestClock.adjust("999 millis")
        notYet(fiber)
        yield* TestClock.adjust("1 millis")
        yield* settle
        assert.strictEqual(yield* now(fiber), "hello")
        assert.deepStrictEqual(server.peers[1]?.heard, ["hello"])
      })
    )
  })
})

describe("an ask that waits for its reply", () => {
  it.effect("interrupted, has its connection closed within 100 ms, and its late reply reaches nobody", () =>
    byHand({ maxConnections: 1 }, (pool, sockets) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(pool.ask("given up"))
        yield* settle
        yield* TestClock.adjust("30 seconds")
        yield* interrupt(fiber)
        const next = yield* Effect.forkChild(pool.ask("next"))
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual(sockets[0]?.closes, [1000])
        yield* settle
        assert.deepStrictEqual(yield* counted(pool), { acquired: 2, discarded: 1, released: 1 })
        sockets[0]?.message("for the one who gave up")
        notYet(next)
        sockets[1]?.message("for the next")
        assert.strictEqual(yield* Fiber.join(next), "for the next")
      })
    )
  )

  it.effect("interrupted, does not take a reply that comes before the pool has noticed", () =>
    byHand({ maxConnections: 1 }, (pool, sockets) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(pool.ask("given up"))
        const next = yield* Effect.forkChild(pool.ask("next"))
        yield* settle
        yield* interrupt(fiber)
        sockets[0]?.message("for the one who gave up")
        yield* settle
        assert.deepStrictEqual(sockets[0]?.closes, [1000])
        const { messagesDropped } = yield* pool.stats
        assert.strictEqual(messagesDropped, 1)
        sockets[1]?.message("for the next")
        assert.strictEqual(yield* Fiber.join(next), "for the next")
      })
    )
  )

  it.effect("goes on where it cannot be interrupted", () =>
    byHand({}, (pool, sockets) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(
          Effect.uninterruptible(Effect.flatMap(pool.ask("hello"), (reply) => Effect.fail(reply)))
        )
        yield* settle
        interruptNow(fiber)
        yield* TestClock.adjust("1 second")
        notYet(fiber)
        sockets[0]?.message("reply")
        yield* settle
        const exit = poll(fiber)
        assert.isTrue(exit !== undefined && Exit.isFailure(exit))
        assert.include(String(exit), "reply")
        assert.deepStrictEqual(yield* counted(pool), { acquired: 1, discarded: 0, released: 1 })
      })
    )
  )

  it.effect("is given up by a fiber that goes on", () =>
    byHand({ maxConnections: 1 }, (pool, sockets) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(
          Effect.uninterruptibleMask((restore) =>
            Effect.andThen(Effect.exit(restore(pool.ask("given up"))), pool.ask("farewell"))
          )
        )
        yield* settle
        interruptNow(fiber)
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual([sockets[0]?.sent, sockets[1]?.sent], [["given up"], ["farewell"]])
        sockets[1]?.message("bye")
        yield* settle
        assert.isDefined(poll(fiber))
        assert.deepStrictEqual(yield* counted(pool), { acquired: 2, discarded: 1, released: 2 })
      })
    )
  )

  it.effect("fails with ConnectionClosedError when the connection ends, and gets what came before", () =>
    byHand({}, (pool, sockets) =>
      Effect.gen(function* () {
        const lost = yield* Effect.forkChild(Effect.flip(pool.ask("one")))
        yield* settle
        sockets[0]?.lose(1011)
        const error = yield* Fiber.join(lost)
        expectTag(error, "ConnectionClosedError")
        assert.deepStrictEqual({ code: error.code, initiator: error.initiator }, { code: 1011, initiator: "Remote" })
        yield* settle
        assert.deepStrictEqual(yield* counted(pool), { acquired: 1, discarded: 0, released: 1 })

        const answered = yield* Effect.forkChild(pool.ask("two"))
        yield* settle
        sockets[1]?.message("reply")
        sockets[1]?.lose(1000)
        assert.strictEqual(yield* Fiber.join(answered), "reply")
      })
    )
  )

  it.effect("fails when its line is dead", () =>
    scenario(
      makeServer({ onMessage: (peer) => peer.silence }),
      { pingInterval: "1 second", pingTimeout: "2 seconds", closeTimeout: 0 },
      (pool) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(Effect.flip(pool.ask("hello")))
          yield* settle
          yield* TestClock.adjust("2999 millis")
          notYet(fiber)
          yield* TestClock.adjust("1 millis")
          yield* settle
          const error = yield* now(fiber)
          expectTag(error, "ConnectionClosedError")
          assert.deepStrictEqual({ code: error.code, initiator: error.initiator }, { code: 1006, initiator: "Pool" })
        })
    )
  )

  it.effect("has shutdownTimeout when the pool closes, and its reply until then", () =>
    byHand({ shutdownTimeout: "1 second" }, (pool, sockets) =>
      Effect.gen(function* () {
        const answered = yield* Effect.forkChild(pool.ask("one"))
        const unanswered = yield* Effect.forkChild(Effect.flip(pool.ask("two")))
        yield* settle
        const closing = yield* Effect.forkChild(pool.close)
        yield* TestClock.adjust("999 millis")
        notYet(unanswered)
        sockets[0]?.message("reply")
        assert.strictEqual(yield* Fiber.join(answered), "reply")
        yield* TestClock.adjust("1 millis")
        const error = yield* now(unanswered)
        expectTag(error, "ConnectionClosedError")
        assert.deepStrictEqual({ code: error.code, initiator: error.initiator }, { code: 1001, initiator: "Pool" })
        yield* Fiber.join(closing)
      })
    )
  )

  it.effect("interrupted, holds the closing pool up for 100 ms at most", () =>
    byHand({ shutdownTimeout: "10 seconds" }, (pool) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(pool.ask("hello"))
        yield* settle
        const closing = yield* Effect.forkChild(pool.close)
        yield* interrupt(fiber)
        notYet(closing)
        yield* TestClock.adjust("100 millis")
        yield* settle
        yield* now(closing)
      })
    )
  )
})

describe("an ask that waits for room", () => {
  const full = (body: (pool: Pool, socket: HandSocket) => Effect.Effect<void, unknown>) =>
    byHand({ maxConnections: 1, sendBuffer: 10 }, (pool, sockets) =>
      Effect.gen(function* () {
        yield* pool.use(() => Effect.void)
        const socket = sockets[0]!
        socket.bufferedAmount = 11
        yield* body(pool, socket)
      })
    )

  const flush = (socket: HandSocket): void => {
    socket.bufferedAmount = 10
    socket.events.onFlush()
  }

  it.effect("is written once there is some", () =>
    full((pool, socket) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(pool.ask("hello"))
        yield* settle
        assert.deepStrictEqual(socket.sent, [])
        flush(socket)
        assert.deepStrictEqual(socket.sent, ["hello"])
        socket.message("reply")
        assert.strictEqual(yield* Fiber.join(fiber), "reply")
      })
    )
  )

  it.effect("interrupted, leaves the connection as it was within 100 ms, and is never written", () =>
    full((pool, socket) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(pool.ask("given up"))
        yield* settle
        yield* interrupt(fiber)
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual(yield* occupied(pool), { busy: 0, idle: 1, total: 1, waiting: 0 })
        flush(socket)
        assert.deepStrictEqual(socket.sent, [])
        assert.deepStrictEqual(yield* counted(pool), { acquired: 2, discarded: 0, released: 2 })
      })
    )
  )

  it.effect("interrupted just before there is some, is not written either", () =>
    full((pool, socket) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(pool.ask("given up"))
        yield* settle
        yield* interrupt(fiber)
        flush(socket)
        assert.deepStrictEqual(socket.sent, [])
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual(yield* occupied(pool), { busy: 0, idle: 1, total: 1, waiting: 0 })
      })
    )
  )

  it.effect("fails when the connection ends first", () =>
    full((pool, socket) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Effect.flip(pool.ask("hello")))
        yield* settle
        socket.lose(1001)
        const error = yield* Fiber.join(fiber)
        expectTag(error, "ConnectionClosedError")
        assert.strictEqual(error.code, 1001)
        yield* settle
        assert.deepStrictEqual(yield* counted(pool), { acquired: 2, discarded: 0, released: 2 })
      })
    )
  )
})

describe("after an ask", () => {
  it.effect("discardOn says whether its connection is closed", () => {
    const seen: Array<string> = []
    const discardOn = (exit: Exit.Exit<unknown, unknown>): boolean => {
      seen.push(Exit.isSuccess(exit) ? String(exit.value) : Exit.hasInterrupts(exit) ? "interrupted" : "failed")
      return false
    }
    return byHand({ discardOn, maxConnections: 1 }, (pool, sockets) =>
      Effect.gen(function* () {
        const first = yield* Effect.forkChild(pool.ask("one"))
        yield* settle
        sockets[0]?.message("reply")
        yield* Fiber.join(first)
        const second = yield* Effect.forkChild(pool.ask("two"))
        yield* settle
        yield* interrupt(second)
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual(yield* occupied(pool), { busy: 0, idle: 1, total: 1, waiting: 0 })
        const third = yield* Effect.forkChild(Effect.flip(pool.ask("three")))
        yield* settle
        sockets[0]?.lose()
        yield* Fiber.join(third)
        yield* settle
        assert.deepStrictEqual(seen, ["reply", "interrupted", "failed"])
      })
    )
  })

  it.effect("onRelease runs, then the connection drains", () => {
    const server = echo()
    const released: Array<string> = []
    return scenario(
      server,
      {
        maxConnections: 1,
        onRelease: ({ id }) => Effect.sync(() => released.push(id)),
        drain: { quietPeriod: "50 millis" }
      },
      (pool) =>
        Effect.gen(function* () {
          assert.strictEqual(yield* pool.ask("hello"), "hello")
          assert.lengthOf(released, 1)
          yield* settle
          const next = yield* Effect.forkChild(pool.ask("again"))
          assert.strictEqual((yield* pool.stats).draining, 1)
          yield* TestClock.adjust("49 millis")
          notYet(next)
          yield* TestClock.adjust("1 millis")
          yield* settle
          assert.strictEqual(yield* now(next), "again")
        })
    )
  })
})

describe("what is told of an ask", () => {
  it.effect("is the span of who asked, in oldestLease, not that of who gave the connection back", () =>
    byHand({ maxConnections: 1, acquireTimeout: "1 second" }, (pool, sockets) =>
      Effect.gen(function* () {
        const first = yield* Effect.forkChild(Effect.withSpan(pool.ask("one"), "first"))
        yield* settle
        const second = yield* Effect.forkChild(Effect.withSpan(pool.ask("two"), "second"))
        yield* settle
        sockets[0]?.message("reply")
        yield* Fiber.join(first)
        const error = yield* Effect.flip(Effect.withSpan(pool.ask("three"), "third")).pipe(
          Effect.forkChild,
          Effect.tap(() => TestClock.adjust("1 second")),
          Effect.flatMap(Fiber.join)
        )
        expectTag(error, "PoolExhaustedError")
        assert.strictEqual(error.oldestLease?.span, "second")
        sockets[0]?.message("reply")
        yield* Fiber.join(second)
      })
    )
  )

  it.effect("is where it was asked, once it takes longer than leakThreshold", () =>
    Effect.gen(function* () {
      const { layer, sockets } = makeTransport({ onClose: (socket) => queueMicrotask(() => socket.lose(1000)) })
      yield* Effect.gen(function* () {
        const pool = yield* WebSocketPool.make({ ...quiet, leakThreshold: "10 seconds" })
        const events = yield* collect(pool)
        const askHere = () => Effect.withSpan(pool.ask("hello"), "asking")
        const fiber = yield* Effect.forkChild(askHere())
        yield* settle
        yield* TestClock.adjust("9999 millis")
        assert.isUndefined(events.find(({ _tag }) => _tag === "LeaseLeakSuspected"))
        yield* TestClock.adjust("1 millis")
        yield* settle
        const suspicion = events.find(({ _tag }) => _tag === "LeaseLeakSuspected") as {
          readonly span?: string
          readonly place?: string
        }
        assert.strictEqual(suspicion.span, "asking")
        assert.match(suspicion.place ?? "", /askHere/)
        sockets[0]?.message("reply")
        yield* Fiber.join(fiber)
      }).pipe(Effect.scoped, Effect.provide(layer))
    })
  )
})
