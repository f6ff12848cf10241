import { type PoolEvent, type WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, it } from "#support/vitest"
import {
  collect,
  echo,
  type Handler,
  notYet,
  now,
  type Options,
  peers,
  poolWith,
  settle
} from "../support/memoryPool.js"

const never = Duration.infinity

const use = WebSocketPool.use(({ id }) => Effect.succeed(id))

/** One that counts how often it is run. */
const counting = <A, E>(check: (connection: WebSocketConnection.WebSocketConnection) => Effect.Effect<A, E>) => {
  const counter = { checks: 0 }
  const healthCheck: NonNullable<Options["healthCheck"]> = (connection) =>
    Effect.suspend(() => {
      counter.checks += 1
      return check(connection)
    })
  return { counter, healthCheck }
}

/** A server that says something every so often, and reads all there is. */
const talk =
  (every: Duration.Input): Handler =>
  (peer) =>
    Effect.andThen(
      Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(every), peer.send("tick")))),
      Effect.forever(peer.receive)
    )

const reasons = (events: ReadonlyArray<PoolEvent.PoolEvent>) =>
  events.flatMap((event) => (event._tag === "ConnectionClosed" ? [event.reason] : []))

/** Moves the clock to just before a moment, and then to it. */
const bothSides = (counter: { readonly checks: number }, millis: number) =>
  Effect.gen(function* () {
    const { checks } = counter
    yield* TestClock.adjust(millis - 1)
    assert.strictEqual(counter.checks, checks, "not yet")
    yield* TestClock.adjust(1)
    assert.strictEqual(counter.checks, checks + 1, "now")
  })

describe("healthCheck of an idle connection runs once per pingInterval", () => {
  const options = { pingInterval: "30 seconds", idleTimeout: never, validateAfterIdle: never } as const

  // It ran only after as long a silence: a keep-alive message for a server that talks all the time was never sent.
  it.effect("however much the server talks", () => {
    const { counter, healthCheck } = counting(({ send }) => send("keep-alive"))
    return Effect.gen(function* () {
      yield* use
      for (let n = 0; n < 3; n++) yield* bothSides(counter, 30_000)
      assert.deepStrictEqual((yield* peers)[0]!.received, ["keep-alive", "keep-alive", "keep-alive"])
      assert.strictEqual((yield* WebSocketPool.stats).closed, 0)
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ ...options, healthCheck, drain: { quietPeriod: 0 } }, talk("700 millis")))
    )
  })

  it.effect("of a connection that was never leased, too", () => {
    const { counter, healthCheck } = counting(({ send }) => send("keep-alive"))
    return Effect.gen(function* () {
      yield* settle
      for (let n = 0; n < 3; n++) yield* bothSides(counter, 30_000)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, healthCheck, minConnections: 1 })))
  })

  it.effect("since the last lease has ended", () => {
    const { counter, healthCheck } = counting(() => Effect.void)
    return Effect.gen(function* () {
      yield* use
      yield* TestClock.adjust("20 seconds")
      yield* Effect.scoped(Effect.andThen(WebSocketPool.get, TestClock.adjust("45 seconds")))
      assert.strictEqual(counter.checks, 0)
      for (let n = 0; n < 2; n++) yield* bothSides(counter, 30_000)
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ ...options, healthCheck, drain: { quietPeriod: 0 } }, talk("700 millis")))
    )
  })

  it.effect("since the last one has ended, however long that took", () => {
    const { counter, healthCheck } = counting(() => Effect.sleep("4 seconds"))
    return Effect.gen(function* () {
      yield* use
      yield* bothSides(counter, 30_000)
      yield* TestClock.adjust("4 seconds")
      for (let n = 0; n < 2; n++) {
        yield* bothSides(counter, 30_000)
        yield* TestClock.adjust("4 seconds")
      }
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, healthCheck })))
  })

  it.effect("since the lease, after draining that took its time", () => {
    const { counter, healthCheck } = counting(() => Effect.void)
    return Effect.gen(function* () {
      yield* use
      // Messages keep it draining for ten seconds and then some.
      for (let n = 0; n < 10; n++) {
        yield* (yield* peers)[0]!.send("late")
        yield* TestClock.adjust("1 second")
      }
      assert.strictEqual((yield* WebSocketPool.stats).draining, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* WebSocketPool.stats).idle, 1)
      yield* bothSides(counter, 19_000)
      yield* bothSides(counter, 30_000)
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ ...options, healthCheck, drain: { quietPeriod: "2 seconds", timeout: "1 minute" } }))
    )
  })

  it.effect("at once after draining that took longer than it", () => {
    const { counter, healthCheck } = counting(() => Effect.void)
    return Effect.gen(function* () {
      yield* use
      for (let n = 0; n < 40; n++) {
        yield* (yield* peers)[0]!.send("late")
        yield* TestClock.adjust("1 second")
      }
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(counter.checks, 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(counter.checks, 1)
      yield* bothSides(counter, 30_000)
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ ...options, healthCheck, drain: { quietPeriod: "2 seconds", timeout: "1 minute" } }))
    )
  })

  it.effect("since the lease, after an onRelease that took its time", () => {
    const { counter, healthCheck } = counting(() => Effect.void)
    return Effect.gen(function* () {
      yield* use
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* WebSocketPool.stats).idle, 1)
      yield* bothSides(counter, 29_000)
      yield* bothSides(counter, 30_000)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith(
          { ...options, healthCheck, onRelease: () => Effect.sleep("1 second"), drain: { quietPeriod: 0 } },
          talk("300 millis")
        )
      )
    )
  })

  it.effect("and leaves leased connections to pings, after it has run, too", () => {
    const { counter, healthCheck } = counting(() => Effect.void)
    return Effect.gen(function* () {
      yield* use
      yield* bothSides(counter, 30_000)
      const connection = yield* WebSocketPool.get
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(counter.checks, 1)
      assert.strictEqual((yield* connection.info).lastActivityAt, 150_000)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, healthCheck })))
  })

  it.effect("of each of several connections", () => {
    const ran: Array<string> = []
    return Effect.gen(function* () {
      const ids = yield* Effect.scoped(
        Effect.map(Effect.replicateEffect(WebSocketPool.get, 3), (all) => all.map(({ id }) => id))
      )
      yield* TestClock.adjust("29 seconds")
      assert.deepStrictEqual(ran, [])
      yield* TestClock.adjust("1 second")
      assert.sameMembers(ran, ids)
      yield* TestClock.adjust("30 seconds")
      assert.sameMembers(ran, [...ids, ...ids])
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ ...options, healthCheck: ({ id }) => Effect.sync(() => ran.push(id)) }))
    )
  })
})

describe("healthCheck is no use", () => {
  it.effect("so that idleTimeout goes on", () => {
    const { counter, healthCheck } = counting(() => Effect.void)
    return Effect.gen(function* () {
      const events = yield* collect(yield* WebSocketPool.WebSocketPool)
      yield* use
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual((yield* WebSocketPool.stats).idle, 1)
      assert.strictEqual(counter.checks, 5)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* WebSocketPool.stats).total, 0)
      assert.deepStrictEqual(reasons(events), ["Idle"])
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ healthCheck, pingInterval: "10 seconds", idleTimeout: "60 seconds" }))
    )
  })

  it.effect("so that idleTimeout ends what is being checked when it is due, once that is over", () => {
    const { healthCheck } = counting(() => Effect.sleep("4 seconds"))
    return Effect.gen(function* () {
      const events = yield* collect(yield* WebSocketPool.WebSocketPool)
      yield* use
      yield* TestClock.adjust("31 seconds")
      assert.strictEqual((yield* WebSocketPool.stats).busy, 1)
      yield* TestClock.adjust("2999 millis")
      assert.strictEqual((yield* WebSocketPool.stats).busy, 1)
      yield* TestClock.adjust("1 millis")
      yield* settle
      assert.deepStrictEqual(reasons(events), ["Idle"])
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ healthCheck, pingInterval: "30 seconds", idleTimeout: "31 seconds" }))
    )
  })

  it.effect("and counts neither as a lease nor as acquired, but shows as busy while it runs", () => {
    const { healthCheck } = counting(() => Effect.sleep("4 seconds"))
    return Effect.gen(function* () {
      const events = yield* collect(yield* WebSocketPool.WebSocketPool)
      yield* use
      yield* settle
      const told = events.length
      yield* TestClock.adjust("30 seconds")
      const during = yield* WebSocketPool.stats
      assert.deepStrictEqual(
        { busy: during.busy, idle: during.idle, total: during.total },
        { busy: 1, idle: 0, total: 1 }
      )
      yield* TestClock.adjust("4 seconds")
      const after = yield* WebSocketPool.stats
      assert.deepStrictEqual(
        { busy: after.busy, idle: after.idle, acquired: after.acquired, released: after.released },
        { busy: 0, idle: 1, acquired: 1, released: 1 }
      )
      assert.strictEqual(events.length, told)
      const connection = yield* WebSocketPool.get
      assert.strictEqual((yield* connection.info).leases, 2)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ healthCheck, idleTimeout: never, validateAfterIdle: never })))
  })

  it.effect("and a get that needs the connection at the limit gets it when the check is over", () => {
    const { healthCheck } = counting(() => Effect.sleep("4 seconds"))
    return Effect.gen(function* () {
      const id = yield* use
      yield* TestClock.adjust("30 seconds")
      const get = yield* Effect.tap(Effect.forkScoped(WebSocketPool.get), settle)
      yield* TestClock.adjust("3999 millis")
      notYet(get)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* now(get)).id, id)
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ healthCheck, maxConnections: 1, idleTimeout: never, validateAfterIdle: never }))
    )
  })
})

describe("what healthCheck leaves unread", () => {
  const options = { pingInterval: "30 seconds", idleTimeout: never, validateAfterIdle: never } as const
  const check = ({ send }: WebSocketConnection.WebSocketConnection) =>
    Effect.tap(send("keep-alive"), () => Effect.sleep("1 second"))

  it.effect("closes the connection without drain", () => {
    const { healthCheck } = counting(check)
    return Effect.gen(function* () {
      const events = yield* collect(yield* WebSocketPool.WebSocketPool)
      yield* use
      yield* TestClock.adjust("31 seconds")
      assert.deepStrictEqual(reasons(events), ["Dirty"])
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, healthCheck }, echo)))
  })

  it.effect("is dropped with drain, and reaches no lease", () => {
    const { healthCheck } = counting(check)
    return Effect.gen(function* () {
      const id = yield* use
      yield* TestClock.adjust("31 seconds")
      const { closed, idle, messagesDropped } = yield* WebSocketPool.stats
      assert.deepStrictEqual({ closed, idle, messagesDropped }, { closed: 0, idle: 1, messagesDropped: 1 })
      const connection = yield* WebSocketPool.get
      assert.strictEqual(connection.id, id)
      yield* connection.send("mine")
      assert.strictEqual(yield* connection.receive, "mine")
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, healthCheck, drain: { quietPeriod: 0 } }, echo)))
  })

  it.effect("meets drain.condition, also when it comes after the check is over", () => {
    const { healthCheck } = counting(({ send }) => send("keep-alive"))
    return Effect.gen(function* () {
      const events = yield* collect(yield* WebSocketPool.WebSocketPool)
      yield* use
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(reasons(events), ["Dirty"])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith(
          { ...options, healthCheck, drain: { quietPeriod: 0, condition: (message) => message !== "keep-alive" } },
          echo
        )
      )
    )
  })

  it.effect("is not what the server said before: a greeting waits for the first lease, unseen by the check", () => {
    const seen: Array<unknown> = []
    const { healthCheck } = counting(({ receive, send }) =>
      Effect.andThen(
        send("keep-alive"),
        Effect.map(receive, (message) => seen.push(message))
      )
    )
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(seen, ["keep-alive", "keep-alive"])
      const connection = yield* WebSocketPool.get
      assert.strictEqual(yield* connection.receive, "welcome")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith({ ...options, healthCheck, minConnections: 1, drain: { quietPeriod: 0 } }, (peer) =>
          Effect.andThen(peer.send("welcome"), echo(peer))
        )
      )
    )
  })
})

describe("healthCheck as validation", () => {
  const options = { pingInterval: never, idleTimeout: never } as const

  it.effect("counts the greeting of what is closed during its check as dropped", () => {
    // The first is found to be dead, so the other is suspected, and goes for the place that it takes.
    let checks = 0
    const healthCheck = () => Effect.suspend(() => (++checks === 1 ? Effect.fail("dead") : Effect.never))
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.WebSocketPool
      yield* TestClock.adjust("6 seconds")
      for (let n = 0; n < 2; n++) yield* Effect.tap(Effect.forkScoped(pool.get), settle)
      assert.strictEqual(checks, 2)
      const { busy, closed, messagesDropped } = yield* pool.stats
      assert.deepStrictEqual({ busy, closed, messagesDropped }, { busy: 2, closed: 2, messagesDropped: 2 })
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith({ ...options, healthCheck, minConnections: 2, maxConnections: 2 }, (peer) =>
          Effect.andThen(peer.send("welcome"), Effect.forever(peer.receive))
        )
      )
    )
  })

  it.effect("has 1 second", () => {
    const { healthCheck } = counting(() => Effect.never)
    return Effect.gen(function* () {
      const id = yield* use
      yield* TestClock.adjust("5001 millis")
      const get = yield* Effect.tap(Effect.forkScoped(WebSocketPool.get), settle)
      yield* TestClock.adjust("999 millis")
      notYet(get)
      yield* TestClock.adjust("1 millis")
      assert.notStrictEqual((yield* now(get)).id, id)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, healthCheck })))
  })

  it.effect("that takes less is followed by the lease", () => {
    const { counter, healthCheck } = counting(() => Effect.sleep("999 millis"))
    return Effect.gen(function* () {
      const id = yield* use
      yield* TestClock.adjust("5001 millis")
      const get = yield* Effect.tap(Effect.forkScoped(WebSocketPool.get), settle)
      yield* TestClock.adjust("999 millis")
      assert.strictEqual((yield* now(get)).id, id)
      assert.strictEqual(counter.checks, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ ...options, healthCheck })))
  })

  it.effect("counts as a check: the next is due a pingInterval after the lease that followed", () => {
    const { counter, healthCheck } = counting(() => Effect.void)
    return Effect.gen(function* () {
      yield* use
      yield* TestClock.adjust("20 seconds")
      yield* use
      assert.strictEqual(counter.checks, 1)
      yield* bothSides(counter, 30_000)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ idleTimeout: never, healthCheck })))
  })
})
