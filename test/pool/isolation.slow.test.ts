import { type PoolEvent, type WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
import * as Cause from "#effect/Cause"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Option from "#effect/Option"
import * as Random from "#effect/Random"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { interruptNow, poll } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { isRunning, lease, makeServer, scenario, settle, yields } from "../support/wire.js"

type Connection = WebSocketConnection.WebSocketConnection

/** Collects the events from now on. */
const watch = (pool: WebSocketPool.WebSocketPool) =>
  Effect.gen(function* () {
    const events: Array<PoolEvent.PoolEvent> = []
    yield* Effect.forkScoped(Stream.runForEach(pool.events, (event) => Effect.sync(() => events.push(event))))
    yield* settle
    return events
  })

const reasons = (events: ReadonlyArray<PoolEvent.PoolEvent>) =>
  events.flatMap((event) => (event._tag === "ConnectionClosed" ? [event.reason] : []))

/** Answers each message after a time. */
const slow = (delay: Duration.Input) =>
  makeServer({
    onMessage: (peer, message) =>
      Effect.forkDetach(Effect.andThen(Effect.sleep(delay), Effect.ignore(peer.send(`re: ${message}`))))
  })

const request = (connection: Connection, message: string) =>
  Effect.andThen(connection.send(message), connection.receive)

describe("a message that comes right before another fiber ends the lease", () => {
  /** A lease of which a fiber waits for a message, and what sends one and ends the lease in the same step. */
  const waiting = (pool: WebSocketPool.WebSocketPool, server: ReturnType<typeof makeServer>) =>
    Effect.gen(function* () {
      const first = yield* lease(pool)
      const reader = yield* Effect.forkDetach(first.connection.receive)
      yield* settle
      const peer = yield* server.peer(0)
      return { first, peer, reader }
    })

  it.effect("leaves no connection that is not read", () => {
    const server = makeServer({ onMessage: (peer, message) => peer.send(message) })
    return scenario(server, { receiveBuffer: 500, maxConnections: 1 }, (pool) =>
      Effect.gen(function* () {
        const { first, peer, reader } = yield* waiting(pool, server)
        yield* Effect.andThen(peer.send("x".repeat(1_000)), first.release)
        yield* settle
        assert.isDefined(poll(reader))
        const next = yield* Effect.forkChild(pool.use((connection) => request(connection, "hello")))
        yield* settle
        assert.isDefined(poll(next))
      })
    )
  })

  it.effect("and is taken before onRelease is done, leaves nothing unread", () => {
    const server = makeServer()
    return scenario(server, { maxConnections: 1, onRelease: () => Effect.sleep("1 second") }, (pool) =>
      Effect.gen(function* () {
        const { first, peer, reader } = yield* waiting(pool, server)
        yield* Effect.andThen(peer.send("hello"), first.release)
        assert.strictEqual(yield* Fiber.join(reader), "hello")
        yield* TestClock.adjust("1 second")
        const { closedBy, idle, messagesDropped } = yield* pool.stats
        assert.deepStrictEqual(
          { dirty: closedBy.Dirty, idle, messagesDropped },
          { dirty: 0, idle: 1, messagesDropped: 0 }
        )
      })
    )
  })

  for (const order of ["before", "after"] as const) {
    it.effect(`and is not taken, leaves nothing of its answer to the next holder: interrupted ${order} that`, () => {
      const server = makeServer()
      return scenario(server, { maxConnections: 1 }, (pool) =>
        Effect.gen(function* () {
          const { first, peer, reader } = yield* waiting(pool, server)
          const interrupt = Effect.sync(() => interruptNow(reader))
          const end = order === "before" ? [interrupt, first.release] : [first.release, interrupt]
          yield* Effect.all([peer.send("part 1"), ...end], { discard: true })
          yield* settle
          const exit = yield* Effect.exit(Fiber.join(reader))
          const next = yield* Effect.forkChild(pool.use(({ receive }) => receive))
          yield* settle
          yield* Effect.exit(peer.send("part 2"))
          yield* settle
          // Where it goes on at once it has read all that there was when its lease ended.
          if (Exit.isFailure(exit)) assert.isTrue(isRunning(next))
          assert.strictEqual((yield* pool.stats).messagesDropped, Exit.isFailure(exit) ? 1 : 0)
        })
      )
    })
  }
})

describe("a message that arrives late", () => {
  for (const [name, drain] of [
    ["without drain", undefined],
    ["with drain", { quietPeriod: "1 second" }],
    ["with drain of what has arrived", { quietPeriod: 0 }]
  ] as const) {
    it.effect(`before release, is not the next holder's, ${name}`, () => {
      const server = makeServer()
      return scenario(server, { drain }, (pool) =>
        Effect.gen(function* () {
          const events = yield* watch(pool)
          const first = yield* lease(pool)
          yield* (yield* server.peer(0)).send("late")
          yield* first.release
          yield* TestClock.adjust("1 second")
          const connection = yield* pool.get
          const receiving = yield* Effect.forkChild(connection.receive)
          yield* settle
          assert.isTrue(isRunning(receiving))
          assert.strictEqual((yield* pool.stats).messagesDropped, 1)
          assert.strictEqual(connection.id === first.connection.id, drain !== undefined)
          yield* settle
          assert.deepStrictEqual(reasons(events), drain === undefined ? ["Dirty"] : [])
          assert.deepStrictEqual(
            events.flatMap((event) => (event._tag === "MessageDropped" ? [event.bytes] : [])),
            [4]
          )
          yield* Fiber.interrupt(receiving)
        })
      )
    })

    it.effect(`between two leases, is not the next holder's, ${name}`, () => {
      const server = makeServer()
      return scenario(server, { drain }, (pool) =>
        Effect.gen(function* () {
          const first = yield* lease(pool)
          yield* first.release
          yield* TestClock.adjust("1 second")
          assert.strictEqual((yield* pool.stats).idle, 1)
          yield* (yield* server.peer(0)).send("late")
          const connection = yield* pool.get
          const receiving = yield* Effect.forkChild(connection.receive)
          yield* settle
          assert.isTrue(isRunning(receiving))
          assert.strictEqual((yield* pool.stats).messagesDropped, 1)
          assert.strictEqual(connection.id === first.connection.id, drain !== undefined)
          yield* Fiber.interrupt(receiving)
        })
      )
    })

    for (const how of ["get", "use"] as const) {
      it.effect(`at the instant of the hand-off, is not the next holder's, ${name}, with ${how}`, () => {
        const server = makeServer()
        return scenario(server, { drain, maxConnections: 1 }, (pool) =>
          Effect.gen(function* () {
            const first = yield* lease(pool)
            const got: Array<unknown> = []
            const receive = (connection: Connection) => Effect.map(connection.receive, (message) => got.push(message))
            const waiter = yield* Effect.forkChild(
              how === "use" ? pool.use(receive) : Effect.scoped(Effect.flatMap(pool.get, receive))
            )
            yield* settle
            const peer = yield* server.peer(0)
            // No other fiber runs between these two.
            yield* Effect.andThen(first.release, peer.send("late"))
            yield* settle
            yield* TestClock.adjust("1 second")
            yield* settle
            const { acquired, busy, messagesDropped } = yield* pool.stats
            assert.deepStrictEqual({ acquired, busy, messagesDropped }, { acquired: 2, busy: 1, messagesDropped: 1 })
            assert.deepStrictEqual(got, [])
            yield* server.peers[server.peers.length - 1]!.send("mine")
            yield* Fiber.join(waiter)
            assert.deepStrictEqual(got, ["mine"])
            assert.isAtMost(server.counts.mostSockets, 1)
          })
        )
      })
    }
  }

  it.effect("at the instant of the hand-off, does not cost the waiter its turn", () => {
    const server = makeServer()
    return scenario(server, { maxConnections: 1 }, (pool) =>
      Effect.gen(function* () {
        const first = yield* lease(pool)
        const order: Array<string> = []
        const waiter = (name: string) => Effect.forkChild(pool.use(() => Effect.sync(() => order.push(name))))
        const fibers = [yield* waiter("a"), yield* waiter("b"), yield* waiter("c")]
        yield* settle
        yield* Effect.andThen(first.release, (yield* server.peer(0)).send("late"))
        yield* settle
        yield* Effect.forEach(fibers, Fiber.join)
        assert.deepStrictEqual(order, ["a", "b", "c"])
      })
    )
  })

  it.effect("while draining, is dropped and begins the quiet period anew", () => {
    const server = makeServer()
    return scenario(server, { drain: { quietPeriod: "1 second" }, maxConnections: 1 }, (pool) =>
      Effect.gen(function* () {
        const events = yield* watch(pool)
        const first = yield* lease(pool)
        const peer = yield* server.peer(0)
        yield* first.release
        const next = yield* Effect.forkChild(lease(pool))
        yield* TestClock.adjust("900 millis")
        yield* peer.send("late")
        yield* TestClock.adjust("999 millis")
        assert.isTrue(isRunning(next))
        assert.strictEqual((yield* pool.stats).draining, 1)
        yield* TestClock.adjust("1 millis")
        yield* settle
        const { connection } = yield* Fiber.join(next)
        assert.strictEqual(connection.id, first.connection.id)
        const done = events.find((event) => event._tag === "DrainCompleted")
        assert.strictEqual(done?.dropped, 1)
        assert.strictEqual(done === undefined ? -1 : Duration.toMillis(done.elapsed), 1900)
      })
    )
  })

  it.effect("while draining for too long, closes the connection", () => {
    const server = makeServer()
    return scenario(server, { drain: { quietPeriod: "1 second", timeout: "3 seconds" } }, (pool) =>
      Effect.gen(function* () {
        const events = yield* watch(pool)
        const first = yield* lease(pool)
        const peer = yield* server.peer(0)
        yield* Effect.forkScoped(
          Effect.ignore(Effect.forever(Effect.andThen(Effect.sleep("500 millis"), peer.send("x"))))
        )
        yield* first.release
        yield* TestClock.adjust("2999 millis")
        assert.strictEqual((yield* pool.stats).draining, 1)
        yield* TestClock.adjust("1 millis")
        yield* settle
        const { drainTimeouts, total } = yield* pool.stats
        assert.deepStrictEqual({ drainTimeouts, total }, { drainTimeouts: 1, total: 0 })
        assert.deepStrictEqual(reasons(events), ["DrainTimeout"])
      })
    )
  })

  for (const [name, condition] of [
    ["does not hold", (message: unknown) => message !== "bad"],
    [
      "throws",
      (message: unknown) => {
        if (message === "bad") throw new Error("condition")
        return true
      }
    ],
    // A promise passed for true, and the message was dropped.
    [
      "gives a promise",
      (message: unknown) => (message === "bad" ? (Promise.reject(new Error("no")) as unknown as boolean) : true)
    ]
  ] as const) {
    for (const moment of ["before release", "while draining", "while idle"] as const) {
      it.effect(`closes the connection when its condition ${name}, ${moment}`, () => {
        const server = makeServer()
        return scenario(server, { drain: { quietPeriod: "1 second", condition } }, (pool) =>
          Effect.gen(function* () {
            const events = yield* watch(pool)
            const first = yield* lease(pool)
            const peer = yield* server.peer(0)
            yield* peer.send("good")
            if (moment === "before release") yield* peer.send("bad")
            yield* first.release
            if (moment === "while idle") yield* TestClock.adjust("1 second")
            if (moment !== "before release") yield* peer.send("bad")
            yield* settle
            const { messagesDropped, total } = yield* pool.stats
            assert.deepStrictEqual({ messagesDropped, total }, { messagesDropped: 2, total: 0 })
            assert.deepStrictEqual(reasons(events), ["Dirty"])
          })
        )
      })
    }
  }

  it.effect("after Effect.timeout in a lease, never answers the next one: the lease failed", () => {
    const server = slow("2 seconds")
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const failed = yield* Effect.forkChild(
          Effect.exit(pool.use((connection) => Effect.timeout(request(connection, "a"), "1 second")))
        )
        yield* settle
        yield* TestClock.adjust("1 second")
        assert.isTrue(Exit.isFailure(yield* Fiber.join(failed)))
        assert.strictEqual((yield* pool.stats).discarded, 1)
        const next = yield* Effect.forkChild(pool.use((connection) => request(connection, "b")))
        yield* settle
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* Fiber.join(next), "re: b")
      })
    )
  })

  it.effect("after timeoutOption in a lease, is dropped and closes the connection that has got it", () => {
    const server = slow("2 seconds")
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const first = yield* Effect.forkChild(
          pool.use((connection) => Effect.timeoutOption(request(connection, "a"), "1 second"))
        )
        yield* settle
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* Fiber.join(first), Option.none())
        assert.strictEqual((yield* pool.stats).idle, 1)
        yield* TestClock.adjust("1 second")
        yield* settle
        const { messagesDropped, total } = yield* pool.stats
        assert.deepStrictEqual({ messagesDropped, total }, { messagesDropped: 1, total: 0 })
        const next = yield* Effect.forkChild(pool.use((connection) => request(connection, "b")))
        yield* settle
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* Fiber.join(next), "re: b")
      })
    )
  })

  it.effect("after timeoutOption in a lease, is caught by a quiet period that is long enough", () => {
    const server = slow("2 seconds")
    return scenario(server, { maxConnections: 1, drain: { quietPeriod: "1500 millis" } }, (pool) =>
      Effect.gen(function* () {
        const first = yield* Effect.forkChild(
          pool.use((connection) => Effect.timeoutOption(request(connection, "a"), "1 second"))
        )
        yield* settle
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* Fiber.join(first), Option.none())
        const next = yield* Effect.forkChild(pool.use((connection) => request(connection, "b")))
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* Fiber.join(next), "re: b")
        assert.strictEqual((yield* pool.stats).opened, 1)
      })
    )
  })

  it.effect("is never the next holder's in a long random run, whoever discards what it has not heard", () => {
    const server = makeServer({
      onMessage: (peer, message) =>
        Effect.forkDetach(
          Effect.flatMap(Random.nextIntBetween(0, 12), (n) =>
            Effect.andThen(yields(n), Effect.ignore(peer.send(message)))
          )
        )
    })
    return scenario(server, { maxConnections: 3 }, (pool) =>
      Effect.gen(function* () {
        let answered = 0
        const client = (name: string) =>
          pool.use((connection) =>
            Effect.gen(function* () {
              yield* connection.send(name)
              const patience = yield* Random.nextIntBetween(2, 14)
              const answer = yield* Effect.raceFirst(connection.receive, Effect.as(yields(patience), undefined))
              if (answer === undefined) return yield* connection.discard
              assert.strictEqual(answer, name)
              answered += 1
            })
          )
        yield* Effect.forEach(Array.from({ length: 300 }), (_, n) => client(String(n)), {
          concurrency: 8,
          discard: true
        })
        yield* settle
        assert.isAbove(answered, 0)
        const { acquired, busy, discarded, released } = yield* pool.stats
        assert.strictEqual(acquired, 300)
        assert.strictEqual(released, 300)
        assert.strictEqual(busy, 0)
        assert.strictEqual(discarded, 300 - answered)
        assert.isAtMost(server.counts.mostSockets, 3)
      })
    )
  })

  it.effect("is counted, each one, wherever it is dropped", () => {
    const server = makeServer()
    return scenario(server, { drain: { quietPeriod: "1 second" } }, (pool) =>
      Effect.gen(function* () {
        const events = yield* watch(pool)
        const first = yield* lease(pool)
        const peer = yield* server.peer(0)
        for (const message of ["1", "22", "333"]) yield* peer.send(message)
        assert.strictEqual(yield* first.connection.receive, "1")
        yield* first.release
        yield* peer.send("4444")
        yield* TestClock.adjust("1 second")
        yield* peer.send("55555")
        const second = yield* lease(pool)
        yield* peer.send("666666")
        yield* second.connection.discard
        yield* second.release
        yield* settle
        assert.strictEqual((yield* pool.stats).messagesDropped, 5)
        const bytes = events.flatMap((event) => (event._tag === "MessageDropped" ? [event.bytes] : []))
        assert.deepStrictEqual(bytes, [2, 3, 4, 5, 6])
      })
    )
  })

  it.effect("is counted when the holder has closed the connection and left it unread", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const first = yield* lease(pool)
        yield* (yield* server.peer(0)).send("unread")
        yield* first.connection.close()
        yield* settle
        yield* first.release
        yield* settle
        assert.strictEqual((yield* pool.stats).messagesDropped, 1)
      })
    )
  })
})

describe("a greeting", () => {
  const greeter = () =>
    makeServer({
      onPeer: (peer) => Effect.andThen(peer.send("hello"), peer.send("world")),
      onMessage: (peer, message) => peer.send(`re: ${message}`)
    })

  const greeted = (connection: Connection) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* connection.receive, "hello")
      assert.strictEqual(yield* connection.receive, "world")
    })

  it.effect("waits for the first lease", () => {
    const server = greeter()
    return scenario(server, {}, (pool) => pool.use(greeted))
  })

  it.effect("waits for the first lease of a connection that was opened ahead", () => {
    const server = greeter()
    return scenario(server, { minConnections: 1, maxConnections: 1 }, (pool) =>
      Effect.gen(function* () {
        yield* pool.ready
        yield* TestClock.adjust("1 minute")
        yield* settle
        assert.strictEqual((yield* pool.stats).idle, 1)
        yield* pool.use(greeted)
        assert.strictEqual((yield* pool.stats).opened, 1)
        yield* pool.use((connection) => Effect.map(request(connection, "x"), (m) => assert.strictEqual(m, "re: x")))
      })
    )
  })

  it.effect("waits through validation", () => {
    const server = greeter()
    return scenario(server, { minConnections: 1, validateAfterIdle: "5 seconds" }, (pool) =>
      Effect.gen(function* () {
        yield* pool.ready
        yield* TestClock.adjust("1 minute")
        yield* pool.use(greeted)
        assert.strictEqual(server.counts.pings, 1)
      })
    )
  })

  it.effect("waits through health checks, which do not see it", () => {
    const server = greeter()
    const heard: Array<unknown> = []
    return scenario(
      server,
      {
        minConnections: 1,
        pingInterval: "10 seconds",
        healthCheck: (connection) => Effect.map(request(connection, "check"), (message) => heard.push(message))
      },
      (pool) =>
        Effect.gen(function* () {
          yield* pool.ready
          yield* settle
          for (let n = 0; n < 3; n++) {
            yield* TestClock.adjust("10 seconds")
            yield* settle
          }
          assert.deepStrictEqual(heard, ["re: check", "re: check", "re: check"])
          yield* pool.use(greeted)
        })
    )
  })

  it.effect("can be read by onConnect, which leaves the rest to the first lease", () => {
    const server = greeter()
    return scenario(
      server,
      { onConnect: (connection) => Effect.map(connection.receive, (message) => assert.strictEqual(message, "hello")) },
      (pool) =>
        pool.use((connection) => Effect.map(connection.receive, (message) => assert.strictEqual(message, "world")))
    )
  })

  it.effect("waits on when the waiter that it was for is interrupted", () => {
    const server = greeter()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const waiter = yield* Effect.forkChild(Effect.scoped(pool.get))
        yield* Effect.yieldNow
        yield* Fiber.interrupt(waiter)
        yield* settle
        const { acquired, total } = yield* pool.stats
        assert.strictEqual(total, 1)
        if (acquired === 0) yield* pool.use(greeted)
      })
    )
  })
})

describe("hooks' handles", () => {
  it.effect("are over when the hook is", () => {
    const server = makeServer()
    const handles: Array<Connection> = []
    const note = (connection: Connection) => Effect.sync(() => void handles.push(connection))
    return scenario(
      server,
      { onConnect: note, onRelease: note, healthCheck: note, pingInterval: "10 seconds" },
      (pool) =>
        Effect.gen(function* () {
          yield* pool.use(() => Effect.void)
          yield* settle
          yield* TestClock.adjust("10 seconds")
          yield* settle
          const connection = yield* pool.get
          assert.strictEqual(handles.length, 3)
          assert.strictEqual(new Set(handles).size, 3)
          for (const handle of handles) {
            assert.strictEqual(handle.id, connection.id)
            assert.strictEqual((yield* Effect.flip(handle.send("x")))._tag, "ConnectionBusyError")
            assert.strictEqual((yield* Effect.flip(handle.receive))._tag, "ConnectionBusyError")
            yield* handle.close()
            yield* handle.discard
          }
          yield* settle
          assert.strictEqual((yield* connection.info).state, "busy")
          assert.strictEqual((yield* connection.info).leases, 2)
        })
    )
  })

  it.effect("of onRelease are over at its timeout, even when it cannot be interrupted", () => {
    const server = makeServer()
    let late: unknown
    return scenario(
      server,
      {
        closeTimeout: "2 seconds",
        onRelease: (connection) =>
          Effect.uninterruptible(
            Effect.andThen(
              Effect.sleep("5 seconds"),
              Effect.map(Effect.flip(connection.send("late")), (error) => (late = error._tag))
            )
          )
      },
      (pool) =>
        Effect.gen(function* () {
          yield* pool.use(() => Effect.void)
          yield* TestClock.adjust("1999 millis")
          yield* settle
          assert.strictEqual((yield* pool.stats).draining, 1)
          yield* TestClock.adjust("1 millis")
          yield* settle
          assert.strictEqual((yield* pool.stats).total, 0)
          yield* TestClock.adjust("5 seconds")
          yield* settle
          assert.strictEqual(late, "ConnectionBusyError")
          assert.deepStrictEqual((yield* server.peer(0)).heard, [])
        })
    )
  })

  it.effect("have scopes: onConnect's is the connection's, the others' the call's", () => {
    const server = makeServer()
    const log: Array<string> = []
    const scoped = (name: string) => () =>
      Effect.andThen(
        Effect.addFinalizer(() => Effect.sync(() => log.push(`${name} ends`))),
        Effect.sync(() => log.push(name))
      )
    return Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* Effect.orDie(
            WebSocketPool.make({
              url: "ws://server.test",
              onConnect: scoped("onConnect"),
              onRelease: scoped("onRelease"),
              healthCheck: scoped("healthCheck"),
              pingInterval: "10 seconds"
            })
          )
          yield* pool.use(() => Effect.sync(() => log.push("use")))
          yield* settle
          assert.deepStrictEqual(log, ["onConnect", "use", "onRelease", "onRelease ends"])
          yield* TestClock.adjust("10 seconds")
          yield* settle
          assert.deepStrictEqual(log.slice(4), ["healthCheck", "healthCheck ends"])
        })
      )
      assert.deepStrictEqual(log.slice(6), ["onConnect ends"])
    }).pipe(Effect.provide(server.layer))
  })
})

describe("discardOn", () => {
  it.effect("by default discards what a failed, died or interrupted lease leaves, not a successful one", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const ids: Array<string> = []
        const note = (connection: Connection) => Effect.sync(() => ids.push(connection.id))
        const exits = [
          Exit.void,
          Exit.fail("no"),
          Exit.die("no"),
          Exit.failCause(Cause.interrupt(yield* Effect.fiberId))
        ]
        for (const exit of exits) {
          yield* Effect.exit(pool.use((connection) => Effect.andThen(note(connection), exit)))
          const { connection, end } = yield* lease(pool)
          yield* note(connection)
          yield* end(exit)
          yield* settle
        }
        assert.strictEqual(ids[0], ids[1])
        assert.strictEqual(ids[1], ids[2])
        assert.strictEqual(new Set(ids.slice(2)).size, 6)
        assert.strictEqual((yield* pool.stats).discarded, 6)
      })
    )
  })

  it.effect("decides over the exit, and discards when it throws", () => {
    const server = makeServer()
    return scenario(
      server,
      {
        discardOn: (exit) => {
          if (Exit.isSuccess(exit) && exit.value === "throw") throw new Error("discardOn")
          return Exit.isSuccess(exit) && exit.value === "discard"
        }
      },
      (pool) =>
        Effect.gen(function* () {
          const id = (body: Effect.Effect<unknown, string>) =>
            Effect.gen(function* () {
              let id = ""
              yield* Effect.exit(
                pool.use((connection) => {
                  id = connection.id
                  return body
                })
              )
              yield* settle
              return id
            })
          const first = yield* id(Effect.fail("kept"))
          assert.strictEqual(yield* id(Effect.succeed("discard")), first)
          const second = yield* id(Effect.succeed("throw"))
          assert.notStrictEqual(second, first)
          assert.notStrictEqual(yield* id(Effect.void), second)
          assert.strictEqual((yield* pool.stats).discarded, 2)
        })
    )
  })
})

describe("getNew", () => {
  it.effect("opens a connection of its own though one is idle, and it joins the pool afterwards", () => {
    const server = makeServer()
    return scenario(server, { maxConnections: 2 }, (pool) =>
      Effect.gen(function* () {
        const old = yield* pool.use(Effect.succeed)
        const fresh = yield* lease(pool, "getNew")
        assert.notStrictEqual(fresh.connection.id, old.id)
        assert.strictEqual((yield* fresh.connection.info).leases, 1)
        yield* fresh.release
        assert.strictEqual((yield* pool.stats).idle, 2)
        assert.strictEqual((yield* pool.use(Effect.succeed)).id, fresh.connection.id)
        assert.strictEqual((yield* pool.useNew(Effect.succeed)).id === fresh.connection.id, false)
      })
    )
  })

  it.effect("evicts the least recently used idle one at the limit, and opens only when its socket is gone", () => {
    const server = makeServer()
    return scenario(server, { maxConnections: 2, closeTimeout: "2 seconds" }, (pool) =>
      Effect.gen(function* () {
        const events = yield* watch(pool)
        const a = yield* lease(pool)
        const b = yield* lease(pool)
        yield* b.release
        yield* TestClock.adjust("1 second")
        yield* a.release
        yield* (yield* server.peer(1)).silence
        const fresh = yield* Effect.forkChild(lease(pool, "getNew"))
        yield* settle
        const { closing, idle, total } = yield* pool.stats
        assert.deepStrictEqual({ closing, idle, total }, { closing: 1, idle: 1, total: 2 })
        yield* TestClock.adjust("1999 millis")
        assert.isTrue(isRunning(fresh))
        yield* TestClock.adjust("1 millis")
        yield* settle
        const { connection } = yield* Fiber.join(fresh)
        assert.isFalse([a.connection.id, b.connection.id].includes(connection.id))
        assert.strictEqual((yield* a.connection.info).state, "idle")
        assert.strictEqual(server.counts.mostSockets, 2)
        assert.deepStrictEqual(reasons(events), ["Evicted"])
      })
    )
  })

  it.effect("evicts a draining one before an idle one", () => {
    const server = makeServer()
    return scenario(server, { maxConnections: 2, drain: { quietPeriod: "5 seconds" } }, (pool) =>
      Effect.gen(function* () {
        const a = yield* lease(pool)
        const b = yield* lease(pool)
        yield* a.release
        yield* TestClock.adjust("5 seconds")
        yield* b.release
        const fresh = yield* lease(pool, "getNew")
        yield* settle
        assert.strictEqual((yield* a.connection.info).state, "idle")
        assert.strictEqual((yield* b.connection.info).state, "closed")
        yield* fresh.release
      })
    )
  })

  it.effect("waits in the same line, and closes the next one given back", () => {
    const server = makeServer()
    return scenario(server, { maxConnections: 1 }, (pool) =>
      Effect.gen(function* () {
        const first = yield* lease(pool)
        const order: Array<string> = []
        const waiter = (name: string, how: "use" | "useNew") =>
          Effect.forkChild(pool[how]((connection) => Effect.sync(() => order.push(`${name} ${connection.id}`))))
        const fibers = [
          yield* waiter("a", "use"),
          yield* waiter("b", "useNew"),
          yield* waiter("c", "use"),
          yield* waiter("d", "useNew")
        ]
        yield* settle
        assert.strictEqual((yield* pool.stats).waiting, 4)
        yield* first.release
        yield* settle
        yield* Effect.forEach(fibers, Fiber.join)
        const [a, b, c, d] = order.map((entry) => entry.split(" "))
        assert.deepStrictEqual([a![0], b![0], c![0], d![0]], ["a", "b", "c", "d"])
        assert.strictEqual(a![1], first.connection.id)
        assert.notStrictEqual(b![1], a![1])
        assert.strictEqual(c![1], b![1])
        assert.notStrictEqual(d![1], c![1])
        assert.strictEqual(server.counts.mostSockets, 1)
        assert.strictEqual(server.counts.most, 1)
      })
    )
  })

  it.effect("never takes the server past maxConnections in a long random run", () => {
    const server = makeServer()
    return scenario(server, { maxConnections: 3 }, (pool) =>
      Effect.gen(function* () {
        const client = Effect.gen(function* () {
          const how = (yield* Random.nextBoolean) ? "use" : "useNew"
          const pause = yield* Random.nextIntBetween(0, 8)
          const fiber = yield* Effect.forkChild(pool[how](() => yields(pause)))
          if ((yield* Random.nextIntBetween(0, 4)) === 0) {
            yield* yields(yield* Random.nextIntBetween(0, 10))
            yield* Fiber.interrupt(fiber)
          } else yield* Fiber.join(fiber)
          const { busy, closing, connecting, draining, idle, maxConnections, total } = yield* pool.stats
          assert.strictEqual(total, busy + closing + connecting + draining + idle)
          assert.isAtMost(total, maxConnections)
        })
        yield* Effect.forEach(Array.from({ length: 300 }), () => client, { concurrency: 10, discard: true })
        yield* settle
        assert.isAtMost(server.counts.mostSockets, 3)
        const { busy, connecting, waiting } = yield* pool.stats
        assert.deepStrictEqual({ busy, connecting, waiting }, { busy: 0, connecting: 0, waiting: 0 })
      })
    )
  })

  it.effect("leaves its place to the next in line when it is interrupted", () => {
    const server = makeServer()
    return scenario(server, { maxConnections: 1 }, (pool) =>
      Effect.gen(function* () {
        const first = yield* lease(pool)
        const fresh = yield* Effect.forkChild(Effect.scoped(pool.getNew))
        const next = yield* Effect.forkChild(pool.use(Effect.succeed))
        yield* settle
        yield* Fiber.interrupt(fresh)
        yield* first.release
        yield* settle
        assert.strictEqual((yield* Fiber.join(next)).id, first.connection.id)
      })
    )
  })
})
