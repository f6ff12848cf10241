import type { WebSocketConnection } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, it } from "#support/vitest"
import { echo, isRunning, lease, makeServer, scenario, settle } from "../support/wire.js"
import { busy, closed, failure, sendAll } from "./support.js"

describe("info", () => {
  it.effect("counts what went through, over all leases", () => {
    const server = echo()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        yield* TestClock.adjust("1 second")
        const first = yield* lease(pool)
        const { id } = first.connection
        assert.deepStrictEqual(yield* first.connection.info, {
          id,
          state: "busy",
          isRetiring: false,
          openedAt: 1000,
          lastActivityAt: 1000,
          leases: 1,
          messagesSent: 0,
          messagesReceived: 0,
          bytesSent: 0,
          bytesReceived: 0
        })
        yield* TestClock.adjust("1 second")
        yield* first.connection.send("grüße")
        yield* first.connection.receive
        yield* first.release
        yield* TestClock.adjust("1 second")
        const second = yield* lease(pool)
        assert.strictEqual(second.connection.id, id)
        const expected = {
          id,
          state: "busy",
          isRetiring: false,
          openedAt: 1000,
          lastActivityAt: 2000,
          leases: 2,
          messagesSent: 1,
          messagesReceived: 1,
          bytesSent: 7,
          bytesReceived: 7
        } as const
        assert.deepStrictEqual(yield* second.connection.info, expected)
        yield* second.connection.send(new Uint8Array(3))
        const { bytesSent, messagesSent } = yield* second.connection.info
        assert.deepStrictEqual({ bytesSent, messagesSent }, { bytesSent: 10, messagesSent: 2 })
        yield* second.connection.receive
      })
    )
  })

  it.effect("tells connecting in onConnect, then busy, draining, idle, closing and closed", () => {
    const server = makeServer()
    const states: Array<string> = []
    const note = (connection: WebSocketConnection.WebSocketConnection) =>
      Effect.map(connection.info, ({ leases, state }) => states.push(`${state} ${leases}`))
    return scenario(server, { onConnect: note, drain: { quietPeriod: "1 second" } }, (pool) =>
      Effect.gen(function* () {
        const { connection, release } = yield* lease(pool)
        yield* note(connection)
        yield* release
        yield* note(connection)
        yield* TestClock.adjust("1 second")
        yield* note(connection)
        const again = yield* lease(pool)
        yield* (yield* server.peer(0)).silence
        yield* again.connection.close()
        yield* note(connection)
        yield* TestClock.adjust("2 seconds")
        yield* settle
        yield* note(connection)
        assert.deepStrictEqual(states, ["connecting 0", "busy 1", "draining 1", "idle 1", "closing 2", "closed 2"])
      })
    )
  })
})

describe("protocol", () => {
  it.effect("is the negotiated one, empty if none was offered", () => {
    const server = makeServer()
    return Effect.andThen(
      scenario(server, { protocols: ["graphql-ws", "other"] }, (pool) =>
        Effect.map(pool.get, ({ protocol }) => assert.strictEqual(protocol, "graphql-ws"))
      ),
      scenario(makeServer(), {}, (pool) => Effect.map(pool.get, ({ protocol }) => assert.strictEqual(protocol, "")))
    )
  })
})

describe("discard", () => {
  it.effect("closes the connection at release with 1000, not before", () => {
    const server = echo()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const { connection, release } = yield* lease(pool)
        yield* connection.discard
        yield* connection.send("a")
        assert.strictEqual(yield* connection.receive, "a")
        yield* release
        yield* settle
        assert.strictEqual((yield* server.peer(0)).end()?.code, 1000)
        const { closed, discarded, total } = yield* pool.stats
        assert.deepStrictEqual({ closed, discarded, total }, { closed: 1, discarded: 1, total: 0 })
        const next = yield* pool.get
        assert.notStrictEqual(next.id, connection.id)
      })
    )
  })
})

describe("close", () => {
  const closeWith = (code: number | undefined, reason: string | undefined) => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        yield* connection.close(code, reason)
        const local = closed(yield* Effect.flip(connection.receive))
        yield* settle
        const remote = (yield* server.peer(0)).end()
        assert.strictEqual(local.initiator, "Local")
        assert.deepStrictEqual([remote?.code, remote?.reason], [local.code, local.reason])
        return { code: local.code, reason: local.reason }
      })
    )
  }

  it.effect("sends the code and the reason, 1000 and nothing by default", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* closeWith(undefined, undefined), { code: 1000, reason: "" })
      assert.deepStrictEqual(yield* closeWith(4321, "grüße"), { code: 4321, reason: "grüße" })
      assert.deepStrictEqual(yield* closeWith(1001, ""), { code: 1001, reason: "" })
      assert.deepStrictEqual(yield* closeWith(3000, ""), { code: 3000, reason: "" })
    })
  )

  for (const code of [
    0,
    999,
    1004,
    1005,
    1006,
    1015,
    1016,
    2999,
    5000,
    -1,
    1000.5,
    Number.NaN,
    Number.POSITIVE_INFINITY
  ]) {
    it.effect(`sends 1000 in place of ${code}`, () =>
      Effect.map(closeWith(code, "x"), (sent) => assert.deepStrictEqual(sent, { code: 1000, reason: "x" }))
    )
  }

  it.effect("cuts the reason to 123 bytes without splitting a character", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* closeWith(1000, "a".repeat(123))).reason, "a".repeat(123))
      assert.strictEqual((yield* closeWith(1000, "a".repeat(124))).reason, "a".repeat(123))
      assert.strictEqual((yield* closeWith(1000, "ü".repeat(62))).reason, "ü".repeat(61))
      assert.strictEqual((yield* closeWith(1000, `${"a".repeat(120)}👋`)).reason, "a".repeat(120))
      assert.strictEqual((yield* closeWith(1000, `${"a".repeat(119)}👋!`)).reason, `${"a".repeat(119)}👋`)
    })
  )

  it.effect("ends as 1006 by this side when nobody answers within closeTimeout", () => {
    const server = makeServer()
    return scenario(server, { closeTimeout: "2 seconds" }, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        yield* (yield* server.peer(0)).silence
        const receiving = yield* Effect.forkChild(connection.receive)
        yield* settle
        yield* connection.close(4000, "bye")
        assert.strictEqual(closed(yield* Effect.flip(connection.send("x"))).initiator, "Local")
        yield* TestClock.adjust("1999 millis")
        assert.isTrue(isRunning(receiving))
        yield* TestClock.adjust("1 millis")
        yield* settle
        assert.deepStrictEqual(closed(yield* failure(receiving)), { code: 1006, initiator: "Local", reason: "" })
        assert.strictEqual(server.counts.sockets, 0)
      })
    )
  })

  it.effect("closes once, however often it is called", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        yield* Effect.all([connection.close(4001, "a"), connection.close(4002, "b")])
        assert.deepStrictEqual(closed(yield* Effect.flip(connection.receive)), {
          code: 4001,
          initiator: "Local",
          reason: "a"
        })
        yield* connection.close(4003)
        assert.deepStrictEqual(server.counts.closes, [4001])
      })
    )
  })

  it.effect("delivers what had arrived before it", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        yield* sendAll(yield* server.peer(0), ["a", "b"])
        yield* connection.close()
        yield* settle
        assert.deepStrictEqual(Array.from(yield* Stream.runCollect(connection.messages)), ["a", "b"])
      })
    )
  })
})

describe("a handle whose lease is over", () => {
  it.effect("fails every operation as Released, and touches nothing of the next holder", () => {
    const server = echo()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const old = yield* lease(pool)
        yield* old.release
        const next = yield* lease(pool)
        assert.strictEqual(next.connection.id, old.connection.id)
        const receiving = yield* Effect.forkChild(next.connection.receive)
        yield* settle
        const { close, discard, info, messages, ping, receive, receiveChunk, send } = old.connection
        for (const operation of [send("stolen"), receive, receiveChunk, ping, Stream.runDrain(messages)]) {
          assert.strictEqual(busy(yield* Effect.flip(operation)), "Released")
        }
        yield* close(4000)
        yield* discard
        assert.strictEqual((yield* info).id, next.connection.id)
        assert.isTrue(isRunning(receiving))
        yield* next.connection.send("mine")
        assert.strictEqual(yield* Fiber.join(receiving), "mine")
        yield* next.release
        yield* settle
        const { discarded, idle } = yield* pool.stats
        assert.deepStrictEqual({ discarded, idle }, { discarded: 0, idle: 1 })
      })
    )
  })

  it.effect("fails what is under way when the lease ends", () => {
    const server = makeServer()
    return scenario(server, { pingTimeout: "10 seconds" }, (pool) =>
      Effect.gen(function* () {
        const { connection, release } = yield* lease(pool)
        yield* (yield* server.peer(0)).silence
        const receive = yield* Effect.forkChild(connection.receive)
        const ping = yield* Effect.forkChild(connection.ping)
        yield* settle
        yield* release
        yield* settle
        assert.strictEqual(busy(yield* failure(receive)), "Released")
        assert.strictEqual(busy(yield* failure(ping)), "Released")
      })
    )
  })

  it.effect("is one of use, too", () => {
    const server = echo()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.use(Effect.succeed)
        assert.strictEqual(busy(yield* Effect.flip(connection.receive)), "Released")
        assert.strictEqual(busy(yield* Effect.flip(connection.send("x"))), "Released")
      })
    )
  })

  it.effect("is Released, not closed, even when its connection is gone", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const { connection, release } = yield* lease(pool)
        yield* connection.close()
        yield* release
        yield* settle
        assert.strictEqual(busy(yield* Effect.flip(connection.receive)), "Released")
        assert.strictEqual(busy(yield* Effect.flip(connection.send("x"))), "Released")
        assert.strictEqual(busy(yield* Effect.flip(connection.ping)), "Released")
        assert.strictEqual((yield* connection.info).state, "closed")
      })
    )
  })
})
