import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Random from "#effect/Random"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, it } from "#support/vitest"
import { isRunning, lease, makeServer, scenario, settle, yields } from "../support/wire.js"
import { busy, closed, failure } from "./support.js"

describe("send", () => {
  it.effect("waits past sendBuffer until the socket has flushed below it, in order", () => {
    const server = makeServer({ reads: false })
    return scenario(server, { sendBuffer: 10 }, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        yield* connection.send("0123456789") // 10 bytes: not past it yet
        yield* connection.send("a")
        const second = yield* Effect.forkChild(connection.send("b"))
        const third = yield* Effect.forkChild(connection.send("c"))
        yield* settle
        assert.isTrue(isRunning(second))
        assert.isTrue(isRunning(third))
        assert.strictEqual(yield* peer.receive, "0123456789")
        yield* settle
        assert.isFalse(isRunning(second))
        assert.isFalse(isRunning(third))
        assert.deepStrictEqual(yield* Effect.all([peer.receive, peer.receive, peer.receive]), ["a", "b", "c"])
      })
    )
  })

  it.effect("is accepted wholly or not at all when it is interrupted while it waits", () => {
    const server = makeServer({ reads: false })
    return scenario(server, { sendBuffer: 0 }, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        yield* connection.send("first")
        const fibers = yield* Effect.forEach(["a", "b", "c"], (message) => Effect.forkChild(connection.send(message)))
        yield* settle
        yield* Fiber.interrupt(fibers[1]!)
        assert.strictEqual((yield* connection.info).messagesSent, 1)
        assert.deepStrictEqual(yield* Effect.all([peer.receive, peer.receive, peer.receive]), ["first", "a", "c"])
        yield* settle
        assert.isFalse(fibers.some(isRunning))
        yield* connection.send("last")
        assert.strictEqual(yield* peer.receive, "last")
        const { bytesSent, messagesSent } = yield* connection.info
        assert.deepStrictEqual({ bytesSent, messagesSent }, { bytesSent: 11, messagesSent: 4 })
      })
    )
  })

  it.effect("arrives exactly if it succeeded or was accepted, over many random interruptions", () => {
    const server = makeServer({ reads: false })
    return scenario(server, { sendBuffer: 0 }, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        const heard: Array<string> = []
        yield* Effect.forkScoped(
          Effect.forever(
            Effect.gen(function* () {
              heard.push(String(yield* peer.receive))
              yield* yields(yield* Random.nextIntBetween(0, 4))
            })
          )
        )
        const done: Array<string> = []
        for (let n = 0; n < 1000; n++) {
          const name = String(n)
          const sending = yield* Effect.forkChild(Effect.map(connection.send(name), () => done.push(name)))
          if (yield* Random.nextBoolean) {
            yield* yields(yield* Random.nextIntBetween(0, 4))
            yield* Fiber.interrupt(sending)
          } else yield* Fiber.join(sending)
        }
        yield* settle
        assert.strictEqual((yield* connection.info).messagesSent, heard.length)
        assert.deepStrictEqual(
          heard,
          [...new Set(heard)].sort((a, b) => Number(a) - Number(b))
        )
        assert.deepStrictEqual(
          done.filter((name) => !heard.includes(name)),
          []
        )
      })
    )
  })

  it.effect("fails while it waits when the server goes, and when the lease ends", () => {
    const server = makeServer({ reads: false })
    return scenario(server, { sendBuffer: 0, discardOn: () => true }, (pool) =>
      Effect.gen(function* () {
        const first = yield* lease(pool)
        yield* first.connection.send("a")
        const lost = yield* Effect.forkChild(first.connection.send("b"))
        yield* settle
        yield* (yield* server.peer(0)).destroy
        yield* settle
        assert.strictEqual(closed(yield* failure(lost)).code, 1006)
        yield* first.release

        const second = yield* lease(pool)
        yield* second.connection.send("a")
        const released = yield* Effect.forkChild(second.connection.send("b"))
        yield* settle
        yield* second.release
        yield* settle
        assert.strictEqual(busy(yield* failure(released)), "Released")
        const peer = yield* server.peer(1)
        assert.strictEqual(yield* peer.receive, "a")
        assert.isTrue(Exit.isFailure(yield* Effect.exit(peer.receive)))
      })
    )
  })
})

describe("ping", () => {
  it.effect("measures the round trip", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        assert.isTrue(Duration.isDuration(yield* connection.ping))
        assert.strictEqual(server.counts.pings, 1)
        const both = yield* Effect.all([connection.ping, connection.ping], { concurrency: "unbounded" })
        assert.isTrue(both.every(Duration.isDuration))
      })
    )
  })

  it.effect("takes a line for dead after pingTimeout, with 1006 by the pool", () => {
    const server = makeServer()
    return scenario(server, { pingTimeout: "10 seconds" }, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        yield* peer.silence
        const ping = yield* Effect.forkChild(connection.ping)
        const receive = yield* Effect.forkChild(connection.receive)
        yield* TestClock.adjust("9999 millis")
        assert.isTrue(isRunning(ping))
        yield* TestClock.adjust("1 millis")
        yield* settle
        const expected = { code: 1006, initiator: "Pool", reason: "" } as const
        assert.deepStrictEqual(closed(yield* failure(ping)), expected)
        assert.deepStrictEqual(closed(yield* failure(receive)), expected)
        assert.strictEqual((yield* pool.stats).healthCheckFailures, 1)
      })
    )
  })

  it.effect("counts pingTimeout from the ping itself, not from one that was answered before", () => {
    const server = makeServer()
    return scenario(server, { pingTimeout: "10 seconds" }, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        yield* connection.ping
        yield* TestClock.adjust("2400 millis")
        yield* (yield* server.peer(0)).silence
        const ping = yield* Effect.forkChild(connection.ping)
        yield* TestClock.adjust("9999 millis")
        assert.isTrue(isRunning(ping))
        yield* TestClock.adjust("1 millis")
        yield* settle
        assert.isFalse(isRunning(ping))
      })
    )
  })

  it.effect("can be interrupted, and then no answer is awaited in vain", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const ping = yield* Effect.forkChild(connection.ping)
        yield* Fiber.interrupt(ping)
        yield* TestClock.adjust("1 minute")
        yield* connection.send("still there")
        assert.strictEqual((yield* connection.info).state, "busy")
      })
    )
  })

  it.effect("goes on at pingInterval when pingTimeout is switched off", () => {
    const server = makeServer()
    return scenario(server, { pingInterval: "10 seconds", pingTimeout: Duration.infinity }, (pool) =>
      Effect.gen(function* () {
        yield* pool.get
        yield* (yield* server.peer(0)).silence
        yield* TestClock.adjust("9999 millis")
        assert.strictEqual(server.counts.pings, 0)
        yield* TestClock.adjust("25 seconds")
        assert.isAtLeast(server.counts.pings, 2)
        assert.strictEqual((yield* pool.stats).busy, 1)
      })
    )
  })
})
