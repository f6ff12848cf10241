import type { PoolError } from "effect-websocket-pool"
import * as Cause from "#effect/Cause"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { defectsOf } from "#support/fibers"
import { causeOf, parserOf, serializations } from "#support/rpc"
import { assert, describe, it } from "#support/vitest"
import { RpcCodec } from "../../src/rpc/codec.js"
import { notYet, now, settle } from "../support/memoryPool.js"
import { oneConnection, scenario, start } from "./support.js"

const isClosed = (error: unknown): error is PoolError.ConnectionClosedError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "ConnectionClosedError"

describe("R1 each call", () => {
  for (const [name, serialization] of serializations) {
    it.effect(`goes over one connection with its Ack and its Interrupt: ${name}`, () =>
      scenario({ serialization, options: { concurrency: 1, targetUtilization: 1 } }, ({ client, server, servers }) =>
        Effect.gen(function* () {
          const counted = yield* start(Stream.runCollect(client.Count({ to: 3 })))
          const doubled = yield* start(client.Double({ value: 2 }))
          const given = yield* start(client.Double({ value: 3 }))
          assert.strictEqual(servers(), 3)

          yield* server(0).chunk(1, 1, 2)
          yield* server(1).exit(1, Exit.succeed(4))
          yield* Fiber.interrupt(given)
          yield* server(0).chunk(1, 3)
          yield* server(0).end(1, Exit.void)

          assert.strictEqual(yield* now(doubled), 4)
          assert.deepStrictEqual(Array.from(yield* now(counted)), [1, 2, 3])
          assert.deepStrictEqual(server(0).log, ["Count 1", "Ack 1", "Ack 1"])
          assert.deepStrictEqual(server(1).log, ["Double 1"])
          assert.deepStrictEqual(server(2).log, ["Double 1", "Interrupt 1"])
        })
      )
    )
  }

  it.effect("is answered by what its own handler gives, in whatever order", () =>
    scenario({ options: oneConnection() }, ({ client, server }) =>
      Effect.gen(function* () {
        const first = yield* start(client.Double({ value: 1 }))
        const second = yield* start(Effect.flip(client.Double({ value: 2 })))
        yield* server(0).exit(2, Exit.fail("odd"))
        yield* server(0).exit(1, Exit.succeed(2))
        assert.strictEqual(yield* now(first), 2)
        assert.strictEqual(yield* now(second), "odd")
      })
    )
  )

  it.effect("spreads over as many connections as there are places for", () =>
    scenario({ options: { concurrency: 4 } }, ({ client, servers }) =>
      Effect.gen(function* () {
        yield* start(Effect.forEach([1, 2, 3, 4, 5], (value) => client.Double({ value }), { concurrency: "unbounded" }))
        assert.strictEqual(servers(), 3)
      })
    )
  )
})

describe("R2 a lost connection", () => {
  it.effect("fails its own calls and streams at once, typed, and the next go over another", () =>
    scenario({ options: { concurrency: 2, targetUtilization: 1 } }, ({ client, server, servers }) =>
      Effect.gen(function* () {
        const call = yield* start(Effect.flip(client.Double({ value: 1 })))
        const stream = yield* start(Effect.flip(Stream.runCollect(client.Count({ to: 2 }))))
        const other = yield* start(client.Double({ value: 3 }))
        assert.strictEqual(servers(), 2)

        server(0).socket.lose(1012)
        yield* settle
        for (const error of [yield* now(call), yield* now(stream)]) {
          assert.isTrue(typeof error === "object" && error._tag === "RpcClientError")
          const cause = typeof error === "object" ? causeOf(error) : error
          assert.isTrue(isClosed(cause))
          assert.deepInclude(cause, { code: 1012, initiator: "Remote" })
          // Where every error has it, and loggers look for it.
          assert.isTrue(typeof error === "object" && isClosed((error as Error).cause))
        }
        notYet(other)
        yield* server(1).exit(1, Exit.succeed(6))
        assert.strictEqual(yield* now(other), 6)

        const next = yield* start(client.Double({ value: 4 }))
        yield* server(1).exit(2, Exit.succeed(8))
        assert.strictEqual(yield* now(next), 8)
      })
    )
  )

  it.effect("gives a stream what had come before it fails", () =>
    scenario({ options: oneConnection() }, ({ client, server }) =>
      Effect.gen(function* () {
        const items: Array<number> = []
        const stream = yield* start(
          Effect.flip(Stream.runForEach(client.Count({ to: 9 }), (item) => Effect.sync(() => items.push(item))))
        )
        yield* server(0).chunk(1, 1, 2)
        server(0).socket.lose()
        yield* settle
        assert.isTrue(typeof (yield* now(stream)) === "object")
        assert.deepStrictEqual(items, [1, 2])
      })
    )
  )
})

describe("R3 a Defect", () => {
  for (const [name, serialization] of serializations) {
    it.effect(`dies in the call that met it, and in none beside it: ${name}`, () =>
      scenario({ serialization, options: oneConnection() }, ({ client, server, servers }) =>
        Effect.gen(function* () {
          const met = yield* start(Effect.exit(client.Double({ value: 1 })))
          const beside = yield* start(client.Double({ value: 2 }))
          yield* server(0).defect(new Error("a bug"))
          notYet(met)
          notYet(beside)

          yield* server(0).exit(2, Exit.succeed(4))
          assert.strictEqual(yield* now(beside), 4)
          const exit = yield* now(met)
          assert.isTrue(Exit.isFailure(exit))
          const [defect] = Exit.isFailure(exit) ? defectsOf(exit.cause) : []
          assert.strictEqual(String(defect), "Error: a bug")

          // No more goes over that connection.
          assert.isFalse(server(0).socket.isOpen)
          yield* start(client.Double({ value: 3 }))
          assert.strictEqual(servers(), 2)
        })
      )
    )
  }

  it.effect("dies in all that are unanswered after retireTimeout", () =>
    scenario({ options: { ...oneConnection(), retireTimeout: "5 seconds" } }, ({ client, server }) =>
      Effect.gen(function* () {
        const call = yield* start(Effect.exit(client.Double({ value: 1 })))
        const stream = yield* start(Effect.exit(Stream.runCollect(client.Count({ to: 2 }))))
        yield* server(0).defect("a bug")
        yield* TestClock.adjust("4999 millis")
        notYet(call)
        notYet(stream)
        yield* TestClock.adjust("1 millis")
        for (const exit of [Exit.asVoid(yield* now(call)), Exit.asVoid(yield* now(stream))]) {
          assert.deepStrictEqual(Exit.isFailure(exit) ? defectsOf(exit.cause) : [], ["a bug"])
        }
      })
    )
  )
})

describe("R4 a slow stream", () => {
  it.effect("holds back neither calls nor other streams, and its server waits for its acks", () =>
    scenario({ options: oneConnection() }, ({ client, server }) =>
      Effect.gen(function* () {
        let goOn = (): void => {}
        const gate = new Promise<void>((resolve) => {
          goOn = resolve
        })
        const slow = yield* start(
          Stream.runForEach(client.Count({ to: 9 }, { streamBufferSize: 1 }), () => Effect.promise(() => gate))
        )
        // One is with its reader, others wait in its mailbox; the last has no room there.
        yield* server(0).chunk(1, 1)
        yield* server(0).chunk(1, 2, 3, 4)
        const acks = server(0).log.length

        const quick = yield* start(Stream.runCollect(client.Count({ to: 2 })))
        const call = yield* start(client.Double({ value: 1 }))
        yield* server(0).chunk(2, 1)
        yield* server(0).chunk(2, 2)
        yield* server(0).end(2, Exit.void)
        yield* server(0).exit(3, Exit.succeed(2))
        assert.strictEqual(yield* now(call), 2)
        assert.deepStrictEqual(Array.from(yield* now(quick)), [1, 2])

        notYet(slow)
        assert.deepStrictEqual(server(0).log.slice(acks), ["Count 2", "Double 3", "Ack 2", "Ack 2"])
        assert.deepStrictEqual(server(0).log.slice(0, acks), ["Count 1", "Ack 1"])
        goOn()
        yield* Effect.promise(() => gate)
        yield* settle
        assert.deepStrictEqual(server(0).log.slice(acks + 4), ["Ack 1"])
      })
    )
  )
})

describe("R5 streams", () => {
  for (const [name, serialization] of serializations) {
    it.effect(`are complete and in order, an error behind the items before it: ${name}`, () =>
      scenario({ serialization, options: oneConnection() }, ({ client, server }) =>
        Effect.gen(function* () {
          const items: Array<number> = []
          const collect = (item: number) => Effect.sync(() => items.push(item))
          const stream = yield* start(Effect.flip(Stream.runForEach(client.Count({ to: 9 }), collect)))
          // A server that does not wait for acks is heard out, too.
          for (let n = 0; n < 100; n += 2) yield* server(0).chunk(1, n, n + 1)
          yield* server(0).end(1, Exit.fail("too far"))
          assert.strictEqual(yield* now(stream), "too far")
          assert.deepStrictEqual(
            items,
            Array.from({ length: 100 }, (_, index) => index)
          )
        })
      )
    )
  }

  it.effect("interrupt their handler when they end early", () =>
    scenario({ options: oneConnection() }, ({ client, server }) =>
      Effect.gen(function* () {
        const stream = yield* start(Stream.runCollect(Stream.take(client.Count({ to: 9 }), 2)))
        yield* server(0).chunk(1, 1, 2, 3)
        assert.deepStrictEqual(Array.from(yield* now(stream)), [1, 2])
        const interrupts = server(0).log.filter((line) => line === "Interrupt 1")
        assert.deepStrictEqual(interrupts, ["Interrupt 1"])
      })
    )
  )

  it.effect("interrupt their handler when their reader is interrupted, wherever it waits", () =>
    scenario({ options: oneConnection() }, ({ client, server }) =>
      Effect.gen(function* () {
        // Before anything has come; while it reads; while more has come than there is room for.
        for (const [index, chunks] of [[], [[1]], [[1], [2, 3, 4]]].entries()) {
          const stream = yield* start(
            Stream.runForEach(client.Count({ to: 9 }, { streamBufferSize: 1 }), () => Effect.never)
          )
          for (const chunk of chunks) yield* server(0).chunk(index + 1, ...chunk)
          yield* Fiber.interrupt(stream)
          const of = server(0).log.filter((line) => line.endsWith(` ${index + 1}`) && !line.startsWith("Ack"))
          assert.deepStrictEqual(of, [`Count ${index + 1}`, `Interrupt ${index + 1}`])
        }
      })
    )
  )

  it.effect("interrupt their handler when what comes cannot be decoded", () =>
    scenario({ options: oneConnection() }, ({ client, server }) =>
      Effect.gen(function* () {
        const stream = yield* start(Effect.exit(Stream.runDrain(client.Count({ to: 9 }))))
        server(0).socket.message(JSON.stringify({ _tag: "Chunk", requestId: "1", values: ["no number"] }))
        yield* settle
        const exit = yield* now(stream)
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        assert.deepStrictEqual(server(0).log, ["Count 1", "Interrupt 1"])
      })
    )
  )

  it.effect("are not asked for by a call that is interrupted before it has a place, and its place is free", () =>
    scenario({ options: oneConnection(1) }, ({ client, server }) =>
      Effect.gen(function* () {
        const first = yield* start(client.Double({ value: 1 }))
        const second = yield* start(client.Double({ value: 2 }))
        const third = yield* start(client.Double({ value: 3 }))
        yield* Fiber.interrupt(second)
        yield* Fiber.interrupt(first)
        yield* settle
        assert.deepStrictEqual(server(0).log, ["Double 1", "Interrupt 1", "Double 2"])
        yield* server(0).exit(2, Exit.succeed(6))
        assert.strictEqual(yield* now(third), 6)
      })
    )
  )
})

describe("R6 without a connection", () => {
  it.effect("a call waits as get does, then fails", () =>
    scenario(
      { pool: { acquireTimeout: "5 seconds" }, transport: { connect: () => Effect.never } },
      ({ client, servers }) =>
        Effect.gen(function* () {
          const call = yield* start(Effect.flip(client.Double({ value: 1 })))
          yield* TestClock.adjust("4999 millis")
          notYet(call)
          yield* TestClock.adjust("1 millis")
          const error = yield* now(call)
          assert.isTrue(typeof error === "object" && error._tag === "RpcClientError")
          assert.propertyVal(typeof error === "object" ? causeOf(error) : error, "_tag", "ConnectionUnavailableError")
          assert.strictEqual(servers(), 0)
        })
    )
  )

  it.effect("a call fails with PoolExhaustedError where all places are taken", () =>
    scenario({ options: oneConnection(1), pool: { acquireTimeout: "5 seconds" } }, ({ client }) =>
      Effect.gen(function* () {
        yield* start(client.Double({ value: 1 }))
        const second = yield* start(Effect.flip(client.Double({ value: 2 })))
        yield* TestClock.adjust("5 seconds")
        const error = yield* now(second)
        assert.propertyVal(typeof error === "object" ? causeOf(error) : error, "_tag", "PoolExhaustedError")
      })
    )
  )

  it.effect("no call fails because another connection is being opened, or cannot be", () =>
    scenario(
      {
        options: { concurrency: 2, targetUtilization: 0.5 },
        transport: { connect: (_, index) => (index === 0 ? Effect.void : Effect.never) }
      },
      ({ client, server, servers }) =>
        Effect.gen(function* () {
          const first = yield* start(client.Double({ value: 1 }))
          const second = yield* start(client.Double({ value: 2 }))
          assert.strictEqual(servers(), 1)
          assert.deepStrictEqual(server(0).log, ["Double 1", "Double 2"])
          yield* server(0).exit(1, Exit.succeed(2))
          yield* server(0).exit(2, Exit.succeed(4))
          assert.strictEqual(yield* now(first), 2)
          assert.strictEqual(yield* now(second), 4)
        })
    )
  )
})

describe("R7 a serialization", () => {
  for (const [name, serialization] of serializations) {
    it.effect(`is made for each connection, and stays with it from lease to lease: ${name}`, () =>
      scenario(
        { serialization, options: { ...oneConnection(2), idleTimeout: "1 second" } },
        ({ client, pool, server, servers }) =>
          Effect.gen(function* () {
            const call = (id: number) =>
              Effect.gen(function* () {
                const fiber = yield* start(client.Double({ value: id }))
                yield* server(servers() - 1).exit(id, Exit.succeed(2 * id))
                assert.strictEqual(yield* now(fiber), 2 * id)
              })
            yield* call(1)
            yield* call(2)
            // It goes back to the pool, and comes from there.
            yield* TestClock.adjust("2 seconds")
            assert.deepInclude(yield* pool.stats, { idle: 1 })
            yield* call(1)
            yield* call(2)
            assert.strictEqual(servers(), 1)

            // The next one knows nothing of what was said on this one.
            server(0).socket.lose()
            yield* settle
            yield* call(1)
            yield* call(2)
            assert.strictEqual(servers(), 2)
          })
      )
    )

    it.effect(`has said nothing with a message that no socket has taken: ${name}`, () =>
      scenario({ serialization, options: oneConnection() }, ({ client, server }) =>
        Effect.gen(function* () {
          yield* start(client.Double({ value: 1 }))
          const { socket } = server(0)
          yield* server(0).exit(1, Exit.succeed(2))
          // What it would name for the first time is taken back.
          socket.bufferedAmount = 1e9
          const given = yield* start(Stream.runDrain(client.Count({ to: 1 })))
          yield* Fiber.interrupt(given)
          socket.bufferedAmount = 0
          socket.events.onFlush()
          const counted = yield* start(Stream.runCollect(client.Count({ to: 1 })))
          assert.deepStrictEqual(server(0).log, ["Double 1", "Count 3"])
          yield* server(0).chunk(3, 1)
          yield* server(0).end(3, Exit.void)
          assert.deepStrictEqual(Array.from(yield* now(counted)), [1])
        })
      )
    )
  }

  for (const [name, serialization] of serializations) {
    it.effect(`writes nothing that builds on a message which may yet be taken back: ${name}`, () =>
      scenario({ serialization, options: oneConnection() }, ({ client, server }) =>
        Effect.gen(function* () {
          yield* start(client.Double({ value: 1 }))
          const { socket } = server(0)
          yield* server(0).exit(1, Exit.succeed(2))
          socket.bufferedAmount = 1e9
          // Both wait, and what the first one would name for the first time is taken back.
          const given = yield* start(Stream.runDrain(client.Count({ to: 1 })))
          const counted = yield* start(Stream.runCollect(client.Count({ to: 1 })))
          yield* Fiber.interrupt(given)
          socket.bufferedAmount = 0
          socket.events.onFlush()
          yield* settle
          assert.deepStrictEqual(server(0).log, ["Double 1", "Count 3"])
          yield* server(0).chunk(3, 1)
          yield* server(0).end(3, Exit.void)
          assert.deepStrictEqual(Array.from(yield* now(counted)), [1])
        })
      )
    )
  }

  it("has said nothing with a message that could not be written to its end", () => {
    const [, naming] = serializations.at(-1)!
    const codec = new RpcCodec(() => parserOf(naming), parserOf(naming))
    const server = parserOf(naming)
    const request = (payload: unknown): Parameters<typeof codec.encode>[1] => ({
      _tag: "Request",
      id: "0",
      tag: "Double",
      payload,
      headers: []
    })
    const payloadIn = (message: ReturnType<typeof codec.encode>) =>
      (server.decode(message)[0] as { readonly payload: unknown }).payload
    assert.deepStrictEqual(payloadIn(codec.encode(1, request({ value: 1 }))), { value: 1 })
    assert.throws(() => codec.encode(2, request({ name: "a", self: { big: 2n ** 100n } })))
    assert.deepStrictEqual(payloadIn(codec.encode(3, request({ name: "b", self: 1 }))), { name: "b", self: 1 })
  })

  it.effect("that cannot read what comes ends the connection, and its calls fail", () =>
    scenario({}, ({ client, server }) =>
      Effect.gen(function* () {
        const call = yield* start(Effect.flip(client.Double({ value: 1 })))
        server(0).socket.message("no JSON")
        yield* settle
        const error = yield* now(call)
        assert.deepInclude(typeof error === "object" ? causeOf(error) : error, { code: 1002, initiator: "Local" })
      })
    )
  )

  it.effect("says the same of what is no message", () =>
    scenario({}, ({ client, server }) =>
      Effect.gen(function* () {
        const call = yield* start(Effect.flip(client.Double({ value: 1 })))
        server(0).socket.message("42")
        yield* settle
        const error = yield* now(call)
        assert.deepInclude(typeof error === "object" ? causeOf(error) : error, { code: 1002, initiator: "Local" })
      })
    )
  )
})

describe("R8 liveness", () => {
  it.effect("is the pool's: nothing is sent but calls, and a Pong is nothing", () =>
    scenario({ options: oneConnection() }, ({ client, server }) =>
      Effect.gen(function* () {
        const call = yield* start(client.Double({ value: 1 }))
        yield* TestClock.adjust("10 minutes")
        server(0).socket.message(JSON.stringify({ _tag: "Pong" }))
        yield* server(0).exit(1, Exit.succeed(2))
        assert.strictEqual(yield* now(call), 2)
        assert.deepStrictEqual(server(0).log, ["Double 1"])
      })
    )
  )

  it.effect("refresh fails no call or stream that ends within retireTimeout", () =>
    scenario({ options: { retireTimeout: "5 seconds" } }, ({ client, pool, server, servers }) =>
      Effect.gen(function* () {
        const call = yield* start(client.Double({ value: 1 }))
        const stream = yield* start(Stream.runCollect(client.Count({ to: 2 })))
        const late = yield* start(Effect.flip(client.Double({ value: 3 })))
        yield* pool.refresh
        yield* settle
        const next = yield* start(client.Double({ value: 4 }))
        assert.strictEqual(servers(), 2)

        yield* TestClock.adjust("4999 millis")
        yield* server(0).exit(1, Exit.succeed(2))
        yield* server(0).chunk(2, 1, 2)
        yield* server(0).end(2, Exit.void)
        assert.strictEqual(yield* now(call), 2)
        assert.deepStrictEqual(Array.from(yield* now(stream)), [1, 2])
        notYet(late)
        yield* TestClock.adjust("1 millis")
        const error = yield* now(late)
        assert.deepInclude(typeof error === "object" ? causeOf(error) : error, {
          _tag: "ConnectionClosedError",
          initiator: "Pool"
        })
        yield* server(1).exit(1, Exit.succeed(8))
        assert.strictEqual(yield* now(next), 8)
      })
    )
  )
})

describe("R9 discard", () => {
  it.effect("returns when the server has answered", () =>
    scenario({ options: oneConnection() }, ({ client, server }) =>
      Effect.gen(function* () {
        const call = yield* start(client.Double({ value: 1 }, { discard: true }))
        notYet(call)
        yield* server(0).exit(1, Exit.succeed(2))
        assert.isUndefined(yield* now(call))
      })
    )
  )

  it.effect("fails with a lost connection, and an interruption interrupts the handler", () =>
    scenario({ options: oneConnection() }, ({ client, server }) =>
      Effect.gen(function* () {
        const given = yield* start(client.Double({ value: 1 }, { discard: true }))
        yield* Fiber.interrupt(given)
        assert.deepStrictEqual(server(0).log, ["Double 1", "Interrupt 1"])
        const lost = yield* start(Effect.flip(client.Double({ value: 2 }, { discard: true })))
        server(0).socket.lose()
        yield* settle
        assert.isTrue(isClosed(causeOf((yield* now(lost)) as never)))
      })
    )
  )
})
