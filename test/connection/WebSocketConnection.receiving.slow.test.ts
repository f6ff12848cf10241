import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Option from "#effect/Option"
import * as Random from "#effect/Random"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { busy as busySteps } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { echo, isRunning, lease, makeServer, scenario, settle, yields } from "../support/wire.js"
import { busy, closed, failure, sendAll } from "./support.js"

describe("send and receive", () => {
  it.effect("carry text as string and binary as plain Uint8Array, in order", () => {
    const server = echo()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        yield* connection.send("grüße 👋")
        yield* connection.send(Buffer.from([1, 2, 3]))
        yield* connection.send("")
        yield* connection.send(new Uint8Array(0))
        assert.strictEqual(yield* connection.receive, "grüße 👋")
        const binary = yield* connection.receive
        assert.deepStrictEqual(binary, new Uint8Array([1, 2, 3]))
        assert.strictEqual(Object.getPrototypeOf(binary), Uint8Array.prototype)
        assert.strictEqual(yield* connection.receive, "")
        assert.deepStrictEqual(yield* connection.receive, new Uint8Array(0))
      })
    )
  })

  it.effect("are not disturbed when the sent array changes afterwards", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const bytes = new Uint8Array([1, 2])
        yield* connection.send(bytes)
        bytes.fill(9)
        yield* settle
        const peer = yield* server.peer(0)
        assert.deepStrictEqual(peer.heard, [new Uint8Array([1, 2])])
      })
    )
  })

  it.effect("work unbound", () => {
    const server = echo()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const { close, discard, info, messages, ping, receive, receiveChunk, send } = connection
        yield* send("a")
        yield* Effect.flatMap(receive, send)
        assert.deepStrictEqual(Array.from(yield* receiveChunk), ["a"])
        yield* Effect.forEach(["b", "c"], send)
        assert.deepStrictEqual(Array.from(yield* Stream.runCollect(Stream.take(messages, 2))), ["b", "c"])
        assert.isTrue(Duration.isDuration(yield* ping))
        assert.strictEqual((yield* info).id, connection.id)
        yield* discard
        yield* close(4000, "bye")
        assert.deepStrictEqual(closed(yield* Effect.flip(receive)), { code: 4000, initiator: "Local", reason: "bye" })
      })
    )
  })

  it.effect("can be kept as values and run again and again", () => {
    const server = echo()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const { receive, send } = yield* pool.get
        const once = Effect.andThen(send("x"), receive)
        assert.deepStrictEqual(yield* Effect.all([once, once, once]), ["x", "x", "x"])
      })
    )
  })

  it.effect("deliver what was read before a close, then the error, again and again", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        yield* sendAll(peer, ["a", "b"])
        yield* peer.close(4001, "enough")
        yield* settle
        assert.strictEqual(yield* connection.receive, "a")
        assert.strictEqual(yield* connection.receive, "b")
        const expected = { code: 4001, initiator: "Remote", reason: "enough" } as const
        assert.deepStrictEqual(closed(yield* Effect.flip(connection.receive)), expected)
        assert.deepStrictEqual(closed(yield* Effect.flip(connection.receiveChunk)), expected)
        assert.deepStrictEqual(closed(yield* Effect.flip(connection.send("x"))), expected)
        assert.deepStrictEqual(closed(yield* Effect.flip(connection.ping)), expected)
      })
    )
  })

  it.effect("tell a lost line as 1006 by the server's side", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        const receiving = yield* Effect.forkChild(connection.receive)
        yield* settle
        yield* peer.destroy
        yield* settle
        const expected = { code: 1006, initiator: "Remote", reason: "" } as const
        assert.deepStrictEqual(closed(yield* failure(receiving)), expected)
        assert.deepStrictEqual(closed(yield* Effect.flip(connection.send("x"))), expected)
      })
    )
  })

  it.effect("close with 1009 when a message is larger than maxPayload", () => {
    const server = makeServer()
    return scenario(server, { maxPayload: 10 }, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        yield* sendAll(peer, ["0123456789"])
        yield* Effect.result(peer.send("0123456789+"))
        assert.strictEqual(yield* connection.receive, "0123456789")
        const { code, initiator } = closed(yield* Effect.flip(connection.receive))
        assert.deepStrictEqual({ code, initiator }, { code: 1009, initiator: "Local" })
      })
    )
  })
})

describe("receive", () => {
  it.effect("loses nothing when it is interrupted while it waits", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        const receiving = yield* Effect.forkChild(connection.receive)
        yield* settle
        yield* Fiber.interrupt(receiving)
        yield* peer.send("a")
        assert.strictEqual(yield* connection.receive, "a")
      })
    )
  })

  for (const order of ["the message first", "the interruption first"] as const) {
    for (const lag of [0, 1, 2, 3]) {
      it.effect(`loses nothing when both happen in the same tick, ${order}, ${lag} yields in between`, () => {
        const server = makeServer()
        return scenario(server, {}, (pool) =>
          Effect.gen(function* () {
            const connection = yield* pool.get
            const peer = yield* server.peer(0)
            const got: Array<unknown> = []
            const receiving = yield* Effect.forkChild(Effect.map(connection.receive, (message) => got.push(message)))
            yield* settle
            const pause = yields(lag)
            if (order === "the message first") {
              yield* peer.send("a")
              yield* pause
              yield* Effect.forkDetach(Fiber.interrupt(receiving))
            } else {
              yield* Effect.forkDetach(Fiber.interrupt(receiving))
              yield* pause
              yield* peer.send("a")
            }
            yield* settle
            yield* peer.send("b")
            if (got.length === 0) assert.strictEqual(yield* connection.receive, "a")
            else assert.deepStrictEqual(got, ["a"])
            assert.strictEqual(yield* connection.receive, "b")
          })
        )
      })
    }
  }

  it.effect("loses nothing, and keeps the order, over thousands of random interruptions", () => {
    const server = makeServer()
    const total = 3000
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        const got: Array<unknown> = []
        const someYields = (most: number) => Effect.flatMap(Random.nextIntBetween(0, most), yields)
        const sending = yield* Effect.forkChild(
          Effect.forEach(
            Array.from({ length: total }),
            (_, n) => Effect.tap(peer.send(String(n)), () => someYields(4)),
            {
              discard: true
            }
          )
        )
        // What is taken is noted in the very step in which it is taken.
        const one = Effect.map(connection.receive, (message) => got.push(message))
        const chunk = Effect.map(connection.receiveChunk, (messages) => got.push(...messages))
        let rounds = 0
        while (got.length < total) {
          rounds += 1
          const receive = yield* Effect.forkChild((yield* Random.nextBoolean) ? one : chunk)
          yield* someYields(5)
          yield* Fiber.interrupt(receive)
          if (rounds % 500 === 0) yield* settle
          assert.isBelow(rounds, total * 20, "it makes no headway")
        }
        yield* Fiber.join(sending)
        assert.deepStrictEqual(
          got,
          Array.from({ length: total }, (_, n) => String(n))
        )
      })
    )
  })

  it.effect("loses nothing when a fiber that has long been running is interrupted in the middle of its turn", () => {
    // A fiber yields after some two thousand steps: between claiming a message and taking it, too.
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        for (let steps = 2030; steps < 2056; steps++) {
          const got: Array<unknown> = []
          yield* sendAll(peer, ["a", "b"])
          const busyFiber = yield* Effect.forkChild(
            Effect.andThen(
              busySteps(steps),
              Effect.map(connection.receive, (message) => got.push(message))
            )
          )
          while (isRunning(busyFiber) && got.length === 0) {
            yield* Effect.yieldNow
            yield* Effect.forkDetach(Fiber.interrupt(busyFiber))
          }
          yield* settle
          got.push(...(yield* connection.receiveChunk))
          assert.deepStrictEqual(got, ["a", "b"])
        }
      })
    )
  })

  it.effect("loses nothing under Effect.timeout", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        yield* Effect.forkChild(
          Effect.forEach(
            Array.from({ length: 30 }, (_, n) => n),
            (n) => Effect.andThen(Effect.sleep("7 millis"), peer.send(String(n))),
            { discard: true }
          )
        )
        const got: Array<unknown> = []
        const attempt = Effect.timeoutOption(connection.receive, "5 millis")
        const receiving = yield* Effect.forkChild(
          Effect.gen(function* () {
            let attempts = 0
            for (; got.length < 30; attempts++) Option.map(yield* attempt, (message) => got.push(message))
            return attempts
          })
        )
        // A deadline that falls on an arrival would leave it to chance which of both was first.
        yield* TestClock.adjust("3 millis")
        for (let n = 0; n < 260; n++) yield* TestClock.adjust("1 millis")
        assert.isAbove(yield* Fiber.join(receiving), 30)
        assert.deepStrictEqual(
          got,
          Array.from({ length: 30 }, (_, n) => String(n))
        )
      })
    )
  })

  it.effect("leaves its message to the next one when it loses an Effect.race", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        for (let n = 0; n < 50; n++) {
          const race = yield* Effect.forkChild(
            Effect.race(connection.receive, Effect.as(Effect.sleep("1 millis"), "timer"))
          )
          yield* settle
          yield* TestClock.adjust("1 millis")
          assert.strictEqual(yield* Fiber.join(race), "timer")
          yield* peer.send(String(n))
          assert.strictEqual(yield* Effect.race(connection.receive, Effect.never), String(n))
        }
      })
    )
  })

  it.effect("fails a second receiver as Receiving, and works again once the first is interrupted", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        const first = yield* Effect.forkChild(connection.receive)
        yield* settle
        assert.strictEqual(busy(yield* Effect.flip(connection.receive)), "Receiving")
        assert.strictEqual(busy(yield* Effect.flip(connection.receiveChunk)), "Receiving")
        assert.strictEqual(busy(yield* Effect.flip(Stream.runDrain(connection.messages))), "Receiving")
        assert.isTrue(isRunning(first))
        yield* Fiber.interrupt(first)
        const second = yield* Effect.forkChild(connection.receive)
        yield* settle
        assert.isTrue(isRunning(second))
        yield* peer.send("a")
        assert.strictEqual(yield* Fiber.join(second), "a")
      })
    )
  })

  it.effect("keeps a receiver that cannot be interrupted, even when it was asked to stop", () => {
    // An interrupted receiver was taken for gone, though uninterruptible it still waited: it hung for ever.
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        const first = yield* Effect.forkChild(Effect.uninterruptible(connection.receive))
        yield* settle
        yield* Effect.forkDetach(Fiber.interrupt(first))
        yield* settle
        const second = yield* Effect.forkChild(connection.receive)
        yield* settle
        assert.strictEqual(busy(yield* failure(second)), "Receiving")
        yield* peer.send("a")
        yield* settle
        assert.isFalse(isRunning(first))
      })
    )
  })

  it.effect("works in the finaliser of an interrupted receive", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        const got: Array<unknown> = []
        const note = Effect.map(connection.receive, (message) => got.push(message))
        const fiber = yield* Effect.forkChild(Effect.onInterrupt(connection.receive, () => Effect.ignore(note)))
        yield* settle
        yield* Effect.forkDetach(Fiber.interrupt(fiber))
        yield* settle
        assert.isTrue(isRunning(fiber))
        assert.strictEqual(busy(yield* Effect.flip(connection.receive)), "Receiving")
        yield* peer.send("a")
        yield* settle
        assert.isFalse(isRunning(fiber))
        assert.deepStrictEqual(got, ["a"])
      })
    )
  })
})

describe("receiveChunk", () => {
  it.effect("takes all that is waiting, and waits for the first", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        yield* sendAll(peer, ["a", "b", "c"])
        assert.strictEqual(yield* connection.receive, "a")
        assert.deepStrictEqual(Array.from(yield* connection.receiveChunk), ["b", "c"])
        const waiting = yield* Effect.forkChild(connection.receiveChunk)
        yield* settle
        assert.isTrue(isRunning(waiting))
        yield* peer.send("d")
        assert.deepStrictEqual(Array.from(yield* Fiber.join(waiting)), ["d"])
      })
    )
  })
})

describe("messages", () => {
  it.effect("leaves to receive what take and takeUntil do not take", () => {
    const server = makeServer()
    return scenario(server, {}, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        yield* sendAll(peer, ["a", "b", "c", "end", "d", "e"])
        const two = yield* Stream.runCollect(Stream.take(connection.messages, 2))
        assert.deepStrictEqual(Array.from(two), ["a", "b"])
        const untilEnd = Stream.takeUntil(connection.messages, (message) => message === "end")
        assert.deepStrictEqual(Array.from(yield* Stream.runCollect(untilEnd)), ["c", "end"])
        assert.deepStrictEqual(yield* Stream.runHead(connection.messages), Option.some("d"))
        assert.strictEqual(yield* connection.receive, "e")
      })
    )
  })

  for (const code of [1000, 1005]) {
    it.effect(`ends at a close with ${code}, after what came before`, () => {
      const server = makeServer()
      return scenario(server, {}, (pool) =>
        Effect.gen(function* () {
          const connection = yield* pool.get
          const peer = yield* server.peer(0)
          yield* sendAll(peer, ["a", "b"])
          yield* peer.close(code)
          assert.deepStrictEqual(Array.from(yield* Stream.runCollect(connection.messages)), ["a", "b"])
        })
      )
    })
  }

  for (const code of [1001, 1011, 4000, 1006]) {
    it.effect(`fails at a close with ${code}, after what came before`, () => {
      const server = makeServer()
      return scenario(server, {}, (pool) =>
        Effect.gen(function* () {
          const connection = yield* pool.get
          const peer = yield* server.peer(0)
          const got: Array<unknown> = []
          const running = yield* Effect.forkChild(
            Stream.runForEach(connection.messages, (message) => Effect.sync(() => got.push(message)))
          )
          yield* sendAll(peer, ["a", "b"])
          yield* settle
          yield* code === 1006 ? peer.destroy : peer.close(code)
          yield* settle
          assert.strictEqual(closed(yield* failure(running)).code, code)
          assert.deepStrictEqual(got, ["a", "b"])
        })
      )
    })
  }
})

describe("receiveBuffer", () => {
  it.effect("pauses the socket past it, each message counted as 64 bytes more, until the reader catches up", () => {
    const server = makeServer()
    return scenario(server, { receiveBuffer: 200 }, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        const names = Array.from({ length: 10 }, (_, n) => `m${n}`)
        let sent = 0
        const sending = yield* Effect.forkChild(
          Effect.forEach(names, (name) => Effect.map(peer.send(name), () => (sent += 1)), { discard: true })
        )
        yield* settle
        // 66 bytes each: three are below 200, the fourth is past it.
        assert.strictEqual(sent, 4)
        assert.isTrue(isRunning(sending))
        assert.strictEqual((yield* connection.info).messagesReceived, 4)
        const got: Array<unknown> = []
        while (got.length < 10) got.push(yield* connection.receive)
        assert.deepStrictEqual(got, names)
        yield* settle
        assert.isFalse(isRunning(sending))
      })
    )
  })

  it.effect("pauses no sooner than it is past, and counts empty messages", () => {
    const server = makeServer()
    return scenario(server, { receiveBuffer: 128 }, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        yield* sendAll(peer, ["", ""])
        assert.strictEqual((yield* connection.info).messagesReceived, 2)
        yield* peer.send("")
        const sending = yield* Effect.forkChild(peer.send(""))
        yield* settle
        assert.isTrue(isRunning(sending))
        assert.strictEqual(Array.from(yield* connection.receiveChunk).length, 3)
        yield* settle
        assert.isFalse(isRunning(sending))
        assert.strictEqual(yield* connection.receive, "")
      })
    )
  })

  it.effect("shows a close when the reader has caught up", () => {
    const server = makeServer()
    return scenario(server, { receiveBuffer: 100 }, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        const sending = yield* Effect.forkChild(
          Effect.andThen(sendAll(peer, ["a".repeat(100), "b", "c"]), peer.close(4000, "full"))
        )
        yield* settle
        assert.strictEqual((yield* connection.info).state, "busy")
        assert.isTrue(isRunning(sending))
        assert.strictEqual(yield* connection.receive, "a".repeat(100))
        yield* settle
        assert.strictEqual(yield* connection.receive, "b")
        assert.strictEqual(yield* connection.receive, "c")
        yield* settle
        assert.deepStrictEqual(closed(yield* Effect.flip(connection.receive)), {
          code: 4000,
          initiator: "Remote",
          reason: "full"
        })
      })
    )
  })

  it.effect("keeps the line unwatched while it is paused", () => {
    const server = makeServer()
    return scenario(server, { receiveBuffer: 100, pingInterval: "10 seconds", pingTimeout: "5 seconds" }, (pool) =>
      Effect.gen(function* () {
        const connection = yield* pool.get
        const peer = yield* server.peer(0)
        yield* Effect.forkChild(sendAll(peer, ["a".repeat(100), "b"]))
        yield* settle
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(server.counts.pings, 0)
        const ping = yield* Effect.forkChild(connection.ping)
        yield* TestClock.adjust("1 minute")
        assert.isTrue(isRunning(ping))
        assert.strictEqual(Array.from(yield* connection.receiveChunk).length, 1)
        yield* settle
        assert.isTrue(Duration.isDuration(yield* Fiber.join(ping)))
        assert.strictEqual(yield* connection.receive, "b")
        const before = server.counts.pings
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(server.counts.pings, before + 1)
      })
    )
  })

  it.effect("destroys a paused socket that has become unfit", () => {
    const server = makeServer()
    return scenario(server, { receiveBuffer: 100 }, (pool) =>
      Effect.gen(function* () {
        const { release } = yield* lease(pool)
        const peer = yield* server.peer(0)
        yield* Effect.forkChild(Effect.ignore(sendAll(peer, ["a".repeat(100), "b"])))
        yield* settle
        yield* release
        yield* settle
        assert.strictEqual(server.counts.sockets, 0)
        assert.strictEqual((yield* pool.stats).total, 0)
        assert.strictEqual(peer.end()?.code, 1006)
      })
    )
  })

  it.effect("does not validate a connection whose greeting has paused it", () => {
    // The ping before the first lease could never be answered: the connection was taken for dead.
    const server = makeServer({ onPeer: (peer) => sendAll(peer, ["a".repeat(100), "b", "c"]) })
    return scenario(server, { minConnections: 1, receiveBuffer: 100, validateAfterIdle: "5 seconds" }, (pool) =>
      Effect.gen(function* () {
        yield* pool.ready
        yield* TestClock.adjust("6 seconds")
        const connection = yield* pool.get
        assert.strictEqual(yield* connection.receive, "a".repeat(100))
        assert.strictEqual(yield* connection.receive, "b")
        assert.strictEqual(yield* connection.receive, "c")
        const { healthCheckFailures, opened } = yield* pool.stats
        assert.deepStrictEqual({ healthCheckFailures, opened }, { healthCheckFailures: 0, opened: 1 })
      })
    )
  })
})
