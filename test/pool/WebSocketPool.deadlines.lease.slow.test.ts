import { type PoolEvent, WebSocketPool } from "effect-websocket-pool"
import * as Cause from "#effect/Cause"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { recordLines } from "#support/telemetry"
import { assert, describe, it } from "#support/vitest"
import { collect, echo, expectTag, greet, notYet, now, peers, poolWith, settle } from "../support/memoryPool.js"

const never = Duration.infinity

const pool = WebSocketPool.WebSocketPool

/** A lease that is over at once. */
const touch = WebSocketPool.use(({ id }) => Effect.succeed(id))

const firstPeer = Effect.map(peers, (all) => all[0]!)

/** Why connections were closed, in order. */
const closings = (events: ReadonlyArray<PoolEvent.PoolEvent>) =>
  events.flatMap((event) => (event._tag === "ConnectionClosed" ? [[event.reason, event.code] as const] : []))

const states = Effect.map(WebSocketPool.stats, ({ busy, closing, draining, idle, total }) => ({
  busy,
  closing,
  draining,
  idle,
  total
}))

const none = { busy: 0, closing: 0, draining: 0, idle: 0, total: 0 }

describe("onConnect", () => {
  it.effect("sets up each new connection once, before its first lease, through a handle of its own", () =>
    Effect.gen(function* () {
      for (const message of ["one", "two"]) yield* WebSocketPool.use((connection) => connection.send(message))
      yield* settle
      assert.deepStrictEqual((yield* firstPeer).received, ["login", "one", "two"])
      assert.strictEqual((yield* peers).length, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ onConnect: (connection) => connection.send("login") })))
  )

  it.effect("may receive the greeting; what it leaves waits for the first lease", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      assert.strictEqual(yield* connection.receive, "second")
      assert.strictEqual((yield* connection.info).leases, 1)
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ onConnect: (connection) => connection.receive }, greet("first", "second")))
    )
  )

  it.effect("has the connection's scope", () => {
    const log: Array<string> = []
    const note = (entry: string) => Effect.sync(() => log.push(entry))
    return Effect.gen(function* () {
      yield* touch
      yield* TestClock.adjust("59999 millis")
      assert.deepStrictEqual(log, ["open"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(log, ["open", "closed"])
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ onConnect: () => Effect.acquireRelease(note("open"), () => note("closed")) }))
    )
  })
})

describe("onRelease", () => {
  it.effect("is bounded by closeTimeout: 2 seconds, in which the connection counts as draining", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* pool)
      yield* touch
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(yield* states, { ...none, draining: 1, total: 1 })
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* states, none)
      assert.deepStrictEqual(
        closings(events).map(([reason]) => reason),
        ["Unhealthy"]
      )
    }).pipe(Effect.scoped, Effect.provide(poolWith({ onRelease: () => Effect.uninterruptible(Effect.never) })))
  )

  it.effect("that ends in time makes the connection idle again, and does not hold the release up", () =>
    Effect.gen(function* () {
      const id = yield* now(yield* Effect.tap(Effect.forkChild(touch), settle))
      yield* TestClock.adjust("1998 millis")
      assert.deepStrictEqual(yield* states, { ...none, draining: 1, total: 1 })
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* states, { ...none, idle: 1, total: 1 })
      assert.strictEqual(yield* touch, id)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ onRelease: () => Effect.sleep("1999 millis") })))
  )

  it.effect("may take for ever with an infinite closeTimeout", () =>
    Effect.gen(function* () {
      yield* touch
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* states, { ...none, draining: 1, total: 1 })
    }).pipe(Effect.scoped, Effect.provide(poolWith({ onRelease: () => Effect.sleep("2 hours"), closeTimeout: never })))
  )

  for (const [what, onRelease] of [
    ["fails", () => Effect.fail("stuck")],
    ["dies", () => Effect.die("stuck")],
    [
      "throws",
      () => {
        throw "stuck"
      }
    ]
  ] as ReadonlyArray<readonly [string, () => Effect.Effect<never, string>]>) {
    it.effect(`closes the connection as unhealthy when it ${what}`, () =>
      Effect.gen(function* () {
        const events = yield* collect(yield* pool)
        yield* touch
        yield* settle
        assert.deepStrictEqual(
          closings(events).map(([reason]) => reason),
          ["Unhealthy"]
        )
      }).pipe(Effect.scoped, Effect.provide(poolWith({ onRelease })))
    )
  }

  it.effect("is not run for a discarded connection, nor for one that the server has closed", () => {
    let runs = 0
    return Effect.gen(function* () {
      yield* WebSocketPool.use((connection) => connection.discard)
      yield* WebSocketPool.use(() => Effect.flatMap(peers, (all) => all[1]!.close()))
      yield* settle
      assert.strictEqual(runs, 0)
      yield* touch
      yield* settle
      assert.strictEqual(runs, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ onRelease: () => Effect.sync(() => void runs++) })))
  })
})

describe("drain.quietPeriod", () => {
  const drain = { quietPeriod: "100 millis" } as const

  it.effect("keeps a connection draining until it was quiet for so long, and not longer", () =>
    Effect.gen(function* () {
      const id = yield* touch
      assert.deepStrictEqual(yield* states, { ...none, draining: 1, total: 1 })
      yield* TestClock.adjust("99 millis")
      assert.deepStrictEqual(yield* states, { ...none, draining: 1, total: 1 })
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* states, { ...none, idle: 1, total: 1 })
      assert.strictEqual(yield* touch, id)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ drain })))
  )

  it.effect("begins anew with each message, which is dropped", () =>
    Effect.gen(function* () {
      yield* touch
      yield* TestClock.adjust("99 millis")
      yield* (yield* firstPeer).send("late")
      yield* TestClock.adjust("99 millis")
      assert.strictEqual((yield* states).draining, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* states).idle, 1)
      assert.strictEqual((yield* WebSocketPool.stats).messagesDropped, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ drain })))
  )

  it.effect("of 0 drops what has already arrived, and makes the connection idle at once", () =>
    Effect.gen(function* () {
      const id = yield* WebSocketPool.use(({ id }) =>
        Effect.as(
          Effect.flatMap(firstPeer, (peer) => peer.send("unread")),
          id
        )
      )
      assert.deepStrictEqual(yield* states, { ...none, idle: 1, total: 1 })
      assert.strictEqual((yield* WebSocketPool.stats).messagesDropped, 1)
      assert.strictEqual(yield* touch, id)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ drain: { quietPeriod: 0 } })))
  )

  it.effect("holds a waiting get up at the limit, as a lease does", () =>
    Effect.gen(function* () {
      const id = yield* touch
      const get = yield* Effect.forkScoped(WebSocketPool.get)
      yield* TestClock.adjust("99 millis")
      notYet(get)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* now(get)).id, id)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ drain, maxConnections: 1 })))
  )

  it.effect("does not hold a get up below the limit, which opens a new one", () =>
    Effect.gen(function* () {
      const id = yield* touch
      assert.notStrictEqual(yield* touch, id)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ drain, maxConnections: 2 })))
  )
})

describe("drain.timeout", () => {
  const talk = (peer: { readonly send: (message: string) => Effect.Effect<void, unknown> }) =>
    Effect.forever(Effect.andThen(Effect.sleep("90 millis"), peer.send("more")))

  it.effect("closes a connection that was not quiet within 10 seconds, and not before", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* pool)
      yield* touch
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual((yield* states).draining, 1)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* states, none)
      assert.strictEqual((yield* WebSocketPool.stats).drainTimeouts, 1)
      assert.deepStrictEqual(
        closings(events).map(([reason]) => reason),
        ["DrainTimeout"]
      )
    }).pipe(Effect.scoped, Effect.provide(poolWith({ drain: { quietPeriod: "100 millis" } }, talk)))
  )

  it.effect("may be set", () =>
    Effect.gen(function* () {
      yield* touch
      yield* TestClock.adjust("999 millis")
      assert.strictEqual((yield* states).draining, 1)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* states, none)
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ drain: { quietPeriod: "100 millis", timeout: "1 second" } }, talk))
    )
  )

  it.effect("of infinity waits for ever", () =>
    Effect.gen(function* () {
      yield* touch
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* states).draining, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ drain: { quietPeriod: "100 millis", timeout: never } }, talk)))
  )
})

describe("drain.condition", () => {
  const drain = {
    quietPeriod: "100 millis",
    condition: (message: unknown) => {
      if (message === "trap") throw new Error("trapped")
      return message === "harmless"
    }
  } as const

  for (const [message, reason] of [
    ["harmless", undefined],
    ["important", "Dirty"],
    ["trap", "Dirty"]
  ] as const) {
    const what = reason === undefined ? "drops" : "closes the connection on"

    it.effect(`${what} what is unread at the release: "${message}"`, () =>
      Effect.gen(function* () {
        const events = yield* collect(yield* pool)
        yield* WebSocketPool.use(() => Effect.flatMap(firstPeer, (peer) => peer.send(message)))
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual(
          closings(events).map(([reason]) => reason),
          reason === undefined ? [] : [reason]
        )
        assert.strictEqual((yield* WebSocketPool.stats).messagesDropped, 1)
      }).pipe(Effect.scoped, Effect.provide(poolWith({ drain })))
    )

    it.effect(`${what} what comes while the connection drains: "${message}"`, () =>
      Effect.gen(function* () {
        const events = yield* collect(yield* pool)
        yield* touch
        yield* TestClock.adjust("50 millis")
        yield* (yield* firstPeer).send(message)
        yield* settle
        assert.strictEqual((yield* states).draining, reason === undefined ? 1 : 0)
        assert.deepStrictEqual(
          closings(events).map(([reason]) => reason),
          reason === undefined ? [] : [reason]
        )
        assert.strictEqual((yield* WebSocketPool.stats).messagesDropped, 1)
      }).pipe(Effect.scoped, Effect.provide(poolWith({ drain })))
    )

    it.effect(`${what} what comes while the connection is idle: "${message}"`, () =>
      Effect.gen(function* () {
        const events = yield* collect(yield* pool)
        yield* touch
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* states).idle, 1)
        yield* (yield* firstPeer).send(message)
        yield* settle
        assert.strictEqual((yield* states).idle, reason === undefined ? 1 : 0)
        assert.deepStrictEqual(
          closings(events).map(([reason]) => reason),
          reason === undefined ? [] : [reason]
        )
        assert.strictEqual((yield* WebSocketPool.stats).messagesDropped, 1)
      }).pipe(Effect.scoped, Effect.provide(poolWith({ drain })))
    )
  }
})

describe("without drain", () => {
  it.effect("a connection with an unread message is closed at its release", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* pool)
      yield* WebSocketPool.use(() => Effect.flatMap(firstPeer, (peer) => peer.send("unread")))
      yield* settle
      assert.deepStrictEqual(
        closings(events).map(([reason]) => reason),
        ["Dirty"]
      )
      assert.strictEqual((yield* WebSocketPool.stats).messagesDropped, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("a connection that gets a message while it is idle is closed", () =>
    Effect.gen(function* () {
      const events = yield* collect(yield* pool)
      yield* touch
      yield* (yield* firstPeer).send("stray")
      yield* settle
      assert.deepStrictEqual(
        closings(events).map(([reason]) => reason),
        ["Dirty"]
      )
      assert.strictEqual((yield* WebSocketPool.stats).messagesDropped, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )
})

describe("use", () => {
  // It died of "Not a valid effect".
  for (const [kind, f] of [
    ["a promise: wrap it in Effect.tryPromise", async () => "result"],
    ["a promise: wrap it in Effect.tryPromise", () => Promise.reject(new Error("no"))],
    ["undefined", () => undefined],
    ["number", () => 5]
  ] as const) {
    it.effect(`with an f that returns ${kind.split(":")[0]} dies saying so, and gives the connection back`, () =>
      Effect.gen(function* () {
        for (const use of [WebSocketPool.use, WebSocketPool.useNew]) {
          const exit = yield* Effect.exit(use(f as unknown as () => Effect.Effect<void>))
          assert.isTrue(Exit.isFailure(exit))
          if (!Exit.isFailure(exit)) return
          const message = `The f of use(f) has to return an Effect, and returned ${kind}`
          assert.include(Cause.pretty(exit.cause), message)
        }
        assert.strictEqual((yield* WebSocketPool.stats).busy, 0)
      }).pipe(Effect.scoped, Effect.provide(poolWith()))
    )
  }
})

describe("discardOn", () => {
  const discarded = Effect.map(WebSocketPool.stats, ({ closed, discarded }) => ({ closed, discarded }))

  it.effect("discards after every failure, defect and interruption of use, and after no success", () =>
    Effect.gen(function* () {
      yield* touch
      assert.deepStrictEqual(yield* discarded, { closed: 0, discarded: 0 })
      yield* Effect.exit(WebSocketPool.use(() => Effect.fail("no")))
      yield* settle
      assert.deepStrictEqual(yield* discarded, { closed: 1, discarded: 1 })
      yield* Effect.exit(WebSocketPool.use(() => Effect.die("no")))
      yield* settle
      assert.deepStrictEqual(yield* discarded, { closed: 2, discarded: 2 })
      const fiber = yield* Effect.forkChild(WebSocketPool.use(() => Effect.never))
      yield* settle
      yield* Fiber.interrupt(fiber)
      yield* settle
      assert.deepStrictEqual(yield* discarded, { closed: 3, discarded: 3 })
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("looks at the exit of the scope of a get", () =>
    Effect.gen(function* () {
      for (const [exit, count] of [
        [Exit.void, 0],
        [Exit.fail("no"), 1]
      ] as const) {
        const scope = yield* Scope.make()
        yield* Scope.provide(WebSocketPool.get, scope)
        yield* Scope.close(scope, exit)
        yield* settle
        assert.deepStrictEqual(yield* discarded, { closed: count, discarded: count })
      }
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("may choose otherwise, and sees the exit", () => {
    const seen: Array<Exit.Exit<unknown, unknown>> = []
    const discardOn = (exit: Exit.Exit<unknown, unknown>) => {
      seen.push(exit)
      return Exit.isSuccess(exit)
    }
    return Effect.gen(function* () {
      yield* Effect.exit(WebSocketPool.use(() => Effect.fail("no")))
      assert.deepStrictEqual(yield* discarded, { closed: 0, discarded: 0 })
      yield* WebSocketPool.use(() => Effect.succeed("yes"))
      yield* settle
      assert.deepStrictEqual(yield* discarded, { closed: 1, discarded: 1 })
      assert.deepStrictEqual(seen, [Exit.fail("no"), Exit.succeed("yes")])
    }).pipe(Effect.scoped, Effect.provide(poolWith({ discardOn })))
  })

  // A promise passed for true; where it rejected, it ended the program.
  it.effect("that gives a promise or an Effect discards, and says so once", () =>
    Effect.gen(function* () {
      for (const [kind, answer] of [
        ["a promise", () => Promise.resolve(false)],
        ["a promise", () => Promise.reject(new Error("no"))],
        ["an Effect", () => Effect.succeed(false)]
      ] as const) {
        const { layer, lines } = recordLines()
        yield* Effect.gen(function* () {
          for (let count = 1; count <= 2; count++) {
            assert.strictEqual(yield* WebSocketPool.use(() => Effect.succeed("result")), "result")
            yield* settle
            assert.deepStrictEqual(yield* discarded, { closed: count, discarded: count })
          }
        }).pipe(
          Effect.scoped,
          Effect.provide(poolWith({ discardOn: answer as unknown as () => boolean })),
          Effect.provide(layer)
        )
        assert.deepStrictEqual(
          lines.map(({ message }) => message),
          [`discardOn has to return a boolean, and returned ${kind}; the connection is discarded each time`]
        )
      }
    })
  )

  it.effect("that throws discards, and changes nothing of what use gives", () => {
    const discardOn = () => {
      throw new Error("no")
    }
    return Effect.gen(function* () {
      assert.strictEqual(yield* WebSocketPool.use(() => Effect.succeed("result")), "result")
      yield* settle
      assert.deepStrictEqual(yield* discarded, { closed: 1, discarded: 1 })
    }).pipe(Effect.scoped, Effect.provide(poolWith({ discardOn })))
  })
})

describe("receiveBuffer", () => {
  /** A server that sends as fast as it may, and tells how often it did. */
  const flood = (message: string) => {
    const sent = { messages: 0 }
    const handler = (peer: { readonly send: (message: string) => Effect.Effect<void, unknown> }) =>
      Effect.andThen(
        Effect.sleep("1 second"),
        Effect.forever(
          Effect.andThen(
            peer.send(message),
            Effect.sync(() => void sent.messages++)
          )
        )
      )
    return { handler, sent }
  }

  for (const [receiveBuffer, size, room] of [
    [1_000, 36, 11],
    [999, 36, 10],
    [undefined, 1_024 - 64, 1_025],
    [0, 1, 1]
  ] as const) {
    const bytes = receiveBuffer ?? "its default of 1 MiB"
    it.effect(
      `of ${bytes} takes ${room} messages of ${size} + 64 bytes, then pauses until the reader catches up`,
      () => {
        const { handler, sent } = flood("x".repeat(size))
        return Effect.gen(function* () {
          const connection = yield* WebSocketPool.get
          yield* TestClock.adjust("1 second")
          assert.strictEqual(sent.messages, room)
          yield* TestClock.adjust("1 minute")
          assert.strictEqual(sent.messages, room)
          for (let messages = 0; messages < room; messages++) yield* connection.receive
          yield* settle
          assert.isAbove(sent.messages, room)
        }).pipe(
          Effect.scoped,
          Effect.provide(poolWith({ ...(receiveBuffer !== undefined && { receiveBuffer }) }, handler))
        )
      }
    )
  }

  it.effect("keeps a paused connection alive without pings, and hides the close until the reader catches up", () => {
    const { handler, sent } = flood("x".repeat(100))
    return Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      yield* TestClock.adjust("1 second")
      const { messages } = sent
      yield* (yield* firstPeer).close(4000, "enough")
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual((yield* connection.info).state, "busy")
      for (let message = 0; message < messages; message++) assert.lengthOf(yield* connection.receive, 100)
      const error = yield* Effect.flip(Effect.forever(connection.receive))
      expectTag(error, "ConnectionClosedError")
      assert.deepInclude(error, { code: 4000, reason: "enough", initiator: "Remote" })
    }).pipe(Effect.scoped, Effect.provide(poolWith({ receiveBuffer: 1_000 }, handler)))
  })
})

describe("sendBuffer", () => {
  it.effect("lets send go on up to it, and past it wait until the socket has flushed", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      yield* connection.send("x".repeat(100))
      const second = yield* Effect.forkChild(connection.send("y".repeat(100)))
      const third = yield* Effect.forkChild(connection.send("z"))
      yield* TestClock.adjust("1 minute")
      yield* now(second)
      notYet(third)
      yield* (yield* firstPeer).receive
      yield* settle
      yield* now(third)
      assert.strictEqual((yield* connection.info).bytesSent, 201)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ sendBuffer: 100 }, () => Effect.never)))
  )

  it.effect("is 1 MiB unless it is given", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      yield* connection.send(new Uint8Array(1024 * 1024))
      const past = yield* Effect.forkChild(connection.send("one more"))
      yield* settle
      yield* now(past)
      const waiting = yield* Effect.forkChild(connection.send("another"))
      yield* settle
      notYet(waiting)
    }).pipe(Effect.scoped, Effect.provide(poolWith({}, () => Effect.never)))
  )
})

describe("maxPayload", () => {
  for (const [maxPayload, limit] of [
    [100, 100],
    [undefined, 16 * 1024 * 1024]
  ] as const) {
    it.effect(
      `of ${maxPayload ?? "its default of 16 MiB"} lets a message as large in, and closes at a larger one`,
      () =>
        Effect.gen(function* () {
          const events = yield* collect(yield* pool)
          const connection = yield* WebSocketPool.get
          const peer = yield* firstPeer
          const largest = yield* Effect.forkChild(peer.send(new Uint8Array(limit)))
          assert.strictEqual((yield* connection.receive).length, limit)
          yield* Fiber.join(largest)
          yield* Effect.forkChild(peer.send(new Uint8Array(limit + 1)))
          const error = yield* Effect.flip(connection.receive)
          expectTag(error, "ConnectionClosedError")
          assert.deepInclude(error, { code: 1009, initiator: "Local" })
          yield* settle
          assert.deepStrictEqual(closings(events), [["Protocol", 1009]])
        }).pipe(
          Effect.scoped,
          Effect.provide(
            poolWith(
              { ...(maxPayload !== undefined && { maxPayload }), receiveBuffer: 2 * limit + 200 },
              () => Effect.never
            )
          )
        )
    )
  }
})

describe("shutdownTimeout", () => {
  it.effect("gives leases 5 seconds, then closes them with 1001", () =>
    Effect.gen(function* () {
      const { close } = yield* pool
      const connection = yield* WebSocketPool.get
      const closing = yield* Effect.forkChild(close)
      const reading = yield* Effect.forkChild(Effect.flip(connection.receive))
      yield* TestClock.adjust("4999 millis")
      notYet(closing)
      notYet(reading)
      yield* connection.send("still here")
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* now(reading), { _tag: "ConnectionClosedError", code: 1001, initiator: "Pool" })
      yield* now(closing)
      const peer = yield* firstPeer
      assert.deepStrictEqual(peer.received, ["still here"])
      assert.strictEqual(peer.ended?.code, 1001)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("is not waited out when the leases are given back before", () =>
    Effect.gen(function* () {
      const { close } = yield* pool
      const holder = yield* Effect.forkChild(WebSocketPool.use(() => Effect.sleep("1 second")))
      yield* settle
      const closing = yield* Effect.forkChild(close)
      yield* TestClock.adjust("999 millis")
      notYet(closing)
      yield* TestClock.adjust("1 millis")
      yield* now(holder)
      yield* now(closing)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("of 0 closes leases at once", () =>
    Effect.gen(function* () {
      const { close } = yield* pool
      const connection = yield* WebSocketPool.get
      const closing = yield* Effect.forkChild(close)
      yield* settle
      yield* now(closing)
      assert.strictEqual((yield* connection.info).state, "closed")
    }).pipe(Effect.scoped, Effect.provide(poolWith({ shutdownTimeout: 0 })))
  )

  it.effect("of infinity waits for the leases for ever", () =>
    Effect.gen(function* () {
      const { close } = yield* pool
      const closing = yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* WebSocketPool.get
          const closing = yield* Effect.forkDetach(close)
          yield* TestClock.adjust("10 minutes")
          notYet(closing)
          assert.strictEqual((yield* connection.info).state, "busy")
          return closing
        })
      )
      yield* settle
      yield* now(closing)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ shutdownTimeout: never })))
  )
})

describe("closeTimeout", () => {
  const silence = Effect.flatMap(firstPeer, (peer) => peer.silence)

  it.effect("destroys the socket when nobody has answered the close for 2 seconds, and not before", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      yield* silence
      yield* connection.close(4000, "bye")
      const reading = yield* Effect.forkChild(Effect.flip(connection.receive))
      yield* TestClock.adjust("1999 millis")
      notYet(reading)
      assert.strictEqual((yield* connection.info).state, "closing")
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* now(reading), { code: 1006, initiator: "Local" })
      assert.strictEqual((yield* connection.info).state, "closed")
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("keeps the place of a closing connection taken until then", () =>
    Effect.gen(function* () {
      yield* WebSocketPool.use((connection) => Effect.andThen(silence, connection.discard))
      const get = yield* Effect.forkScoped(WebSocketPool.get)
      yield* TestClock.adjust("1999 millis")
      notYet(get)
      assert.deepStrictEqual(yield* states, { ...none, closing: 1, total: 1 })
      yield* TestClock.adjust("1 millis")
      yield* now(get)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1 })))
  )

  it.effect("bounds the closing of the pool, together with shutdownTimeout", () =>
    Effect.gen(function* () {
      const { close } = yield* pool
      yield* WebSocketPool.get
      yield* silence
      const closing = yield* Effect.forkChild(close)
      yield* TestClock.adjust("6999 millis")
      notYet(closing)
      yield* TestClock.adjust("1 millis")
      yield* now(closing)
      assert.strictEqual((yield* WebSocketPool.stats).state, "closed")
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("does not hold anybody up when the server answers", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      yield* connection.close()
      yield* settle
      assert.strictEqual((yield* connection.info).state, "closed")
    }).pipe(Effect.scoped, Effect.provide(poolWith({}, echo)))
  )

  it.effect("of infinity waits for the answer for ever", () =>
    Effect.gen(function* () {
      // Such a pool never ends either, so its scope is left open.
      const context = yield* Layer.buildWithScope(poolWith({ closeTimeout: never }), yield* Scope.make())
      yield* Effect.gen(function* () {
        yield* WebSocketPool.use((connection) => Effect.andThen(silence, connection.discard))
        yield* TestClock.adjust("365 days")
        assert.deepStrictEqual(yield* states, { ...none, closing: 1, total: 1 })
      }).pipe(Effect.provide(context))
    })
  )
})
