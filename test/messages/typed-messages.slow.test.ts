import { inspect } from "node:util"
import { PoolError, WebSocketConnection, WebSocketPool, type WebSocketTransport } from "effect-websocket-pool"
import * as Cause from "#effect/Cause"
import * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Option from "#effect/Option"
import * as Schema from "#effect/Schema"
import type * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { repeated, steppingScheduler, withScheduler } from "#support/fibers"
import { msgPack } from "#support/msgpack"
import {
  type AnySchema,
  any,
  byEffects,
  DateInText,
  formatted,
  instead,
  longText,
  mismatches,
  NumberOrText,
  Tree,
  tag,
  Words
} from "#support/schemas"
import { assert, describe, it } from "#support/vitest"
import {
  echo,
  type Handler,
  listen,
  notYet,
  now,
  type Options,
  peers,
  poolWith,
  type Server,
  settle
} from "../support/memoryPool.js"

type Message = WebSocketTransport.Message

/** A server that sends these as soon as it is asked, all at once. */
const answering =
  (...messages: ReadonlyArray<Message>): Handler =>
  (peer) =>
    peer.receive.pipe(
      Effect.andThen(Effect.forEach(messages, (message) => peer.send(message))),
      Effect.andThen(listen(peer))
    )

/** A lease whose server has sent its answers, and how a test of one runs. */
const withLease =
  (handler: Handler, options: Partial<Options> = {}) =>
  <A, E>(
    body: (
      connection: WebSocketConnection.WebSocketConnection
    ) => Effect.Effect<A, E, Scope.Scope | Server | WebSocketPool.WebSocketPool>
  ): Effect.Effect<A, unknown> =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      if (handler !== listen && handler !== echo) yield* connection.send("go")
      yield* settle
      return yield* body(connection)
    }).pipe(Effect.scoped, Effect.provide(poolWith(options, handler)))

const Answer = Schema.Struct({ n: Schema.Number })
const answers = { send: Answer, receive: Answer }
const json = (...values: ReadonlyArray<unknown>): Handler => answering(...values.map((value) => JSON.stringify(value)))

/** Takes a second to decode and to encode, and counts how often it began to. */
const slowly = () => {
  const schema = byEffects(
    (n) => {
      decoded.push(n)
      return Effect.delay(Effect.succeed(n), "1 second")
    },
    (n) => Effect.delay(Effect.succeed(n), "1 second")
  )
  const decoded: Array<number> = []
  return { decoded, schemas: { send: schema, receive: schema } }
}

const yielding = (n: number) => Effect.as(repeated(Effect.yieldNow, 3), n)

/** Decodes and encodes in several steps. */
const stepwise = byEffects(yielding)

/** Interrupts itself over zero. */
const interruptsItself = (n: number) => (n === 0 ? Effect.andThen(Effect.yieldNow, Effect.interrupt) : yielding(n))
const notZero = byEffects(interruptsItself)

/** Interrupts a fiber after its nth operation. */
const interruptingAt = (n: number) => {
  let operations = 0
  return steppingScheduler((fiber) => {
    operations += 1
    if (operations === n) fiber.interruptNow()
    return false
  })
}

const tagOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), ({ _tag }) => _tag)

describe("schema", () => {
  it.effect("sends JSON text, encoded, in order", () =>
    withLease(listen)((connection) =>
      Effect.gen(function* () {
        const Question = Schema.Struct({ city: Schema.String, days: Schema.NumberFromString })
        const typed = WebSocketConnection.schema(connection, { send: Question, receive: Answer })
        yield* typed.send({ city: "Zürich", days: 3 })
        yield* typed.send({ city: "Oslo", days: 1 })
        yield* settle
        const [peer] = yield* peers
        assert.deepStrictEqual(peer?.received, ['{"city":"Zürich","days":"3"}', '{"city":"Oslo","days":"1"}'])
      })
    )
  )

  it.effect("receives JSON, decoded", () =>
    withLease(json({ at: "2024-03-01T12:00:00Z" }))((connection) =>
      Effect.gen(function* () {
        const receive = Schema.Struct({ at: DateInText })
        const { at } = yield* WebSocketConnection.schema(connection, { send: Answer, receive }).receive
        assert.strictEqual(at.getTime(), Date.UTC(2024, 2, 1, 12))
      })
    )
  )

  it.effect("can be piped to", () =>
    withLease(json({ n: 1 }))((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(answers)(connection)
        assert.deepStrictEqual(yield* typed.receive, { n: 1 })
      })
    )
  )

  it.effect("receives binary messages as UTF-8, with or without a byte order mark", () => {
    const bytes = new TextEncoder().encode('"grüße 👋"')
    return withLease(answering(bytes, Uint8Array.of(0xef, 0xbb, 0xbf, ...bytes)))((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, { send: Schema.String, receive: Schema.String })
        assert.strictEqual(yield* typed.receive, "grüße 👋")
        assert.strictEqual(yield* typed.receive, "grüße 👋")
      })
    )
  })

  it.effect("gives schemas the services that they need", () => {
    class Offset extends Context.Service<Offset, number>()("Offset") {}
    const Shifted = byEffects(
      (n) => Effect.map(Offset, (offset) => n + offset),
      (n) => Effect.map(Offset, (offset) => n - offset)
    )
    return withLease(echo)((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, { send: Shifted, receive: Shifted })
        yield* typed.send(110)
        yield* settle
        assert.deepStrictEqual((yield* peers)[0]?.received, ["10"])
        assert.strictEqual(yield* typed.receive, 110)
      }).pipe(Effect.provideService(Offset, 100))
    )
  })

  it.effect("passes everything else on to the connection, also when it is taken apart", () =>
    withLease(listen)((connection) =>
      Effect.gen(function* () {
        const { close, discard, id, info, ping, protocol, untyped } = WebSocketConnection.schema(connection, answers)
        assert.strictEqual(untyped, connection)
        assert.strictEqual(id, connection.id)
        assert.strictEqual(protocol, connection.protocol)
        assert.deepStrictEqual(yield* info, yield* connection.info)
        yield* ping
        yield* discard
        yield* close(4001, "enough")
        yield* settle
        assert.strictEqual((yield* peers)[0]?.ended?.code, 4001)
      })
    )
  )

  it.effect("fails as the connection does", () =>
    withLease((peer) => Effect.andThen(peer.receive, peer.close(4000, "bye")))((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, answers)
        assert.strictEqual(yield* tagOf(typed.receive), "ConnectionClosedError")
        assert.strictEqual(yield* tagOf(typed.receiveChunk), "ConnectionClosedError")
        assert.strictEqual(yield* tagOf(typed.receive), "ConnectionClosedError")
        assert.strictEqual(yield* tagOf(typed.send({ n: 1 })), "ConnectionClosedError")
      })
    )
  )

  it.effect("delivers nothing once the lease is over", () =>
    Effect.gen(function* () {
      const { fiber, typed } = yield* Effect.gen(function* () {
        const connection = yield* WebSocketPool.get
        yield* connection.send("go")
        yield* settle
        const typed = WebSocketConnection.schema(connection, slowly().schemas)
        const fiber = yield* Effect.forkChild(typed.receive)
        yield* settle
        yield* Fiber.interrupt(fiber)
        return { fiber, typed }
      }).pipe(Effect.scoped)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      for (const operation of [Effect.asVoid(typed.receive), Effect.asVoid(typed.receiveChunk)]) {
        const error = yield* Effect.flip(operation)
        assert.instanceOf(error, PoolError.ConnectionBusyError)
        assert.strictEqual(error.reason, "Released")
      }
    }).pipe(Effect.provide(poolWith({}, json(1))))
  )

  it.effect("prints nothing of what it holds", () =>
    withLease(answering('"secret"', "{", '"secret"'))((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, { send: Schema.String, receive: Schema.String })
        yield* typed.receiveChunk
        for (const text of [inspect(typed, { depth: 9, showHidden: true }), JSON.stringify(typed), String(typed)]) {
          assert.notInclude(text, "secret")
          assert.include(text, connection.id)
        }
      })
    )
  )
})

describe("a message that does not match", () => {
  const bad = json({ n: 1 }, { n: "two" }, { n: 3 }, { n: 4 })

  it.effect("is a ParseError for receive, and the next messages are intact", () =>
    withLease(bad)((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, answers)
        assert.deepStrictEqual(yield* typed.receive, { n: 1 })
        assert.strictEqual(yield* tagOf(typed.receive), tag)
        assert.deepStrictEqual(yield* typed.receive, { n: 3 })
        assert.deepStrictEqual(yield* connection.receive, '{"n":4}')
        assert.strictEqual((yield* connection.info).state, "busy")
      })
    )
  )

  it.effect("ends messages with a ParseError, and a new stream goes on behind it", () =>
    withLease(bad)((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, answers)
        const seen: Array<unknown> = []
        const run = Stream.runForEach(typed.messages, ({ n }) => Effect.sync(() => seen.push(n)))
        assert.strictEqual(yield* tagOf(run), tag)
        assert.deepStrictEqual(seen, [1])
        const rest = yield* Stream.runCollect(Stream.take(typed.messages, 2))
        assert.deepStrictEqual(Array.from(rest), [{ n: 3 }, { n: 4 }])
      })
    )
  )

  it.effect("stands alone in receiveChunk: what is before it comes first, then its error, then what is behind it", () =>
    withLease(bad)((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, answers)
        assert.deepStrictEqual(Array.from(yield* typed.receiveChunk), [{ n: 1 }])
        assert.strictEqual(yield* tagOf(typed.receiveChunk), tag)
        assert.deepStrictEqual(Array.from(yield* typed.receiveChunk), [{ n: 3 }, { n: 4 }])
      })
    )
  )

  it.effect("is treated the same by schemas that need time", () =>
    withLease(json(1, 2, "three", 4))((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, slowly().schemas)
        const inTime = <A, E>(effect: Effect.Effect<A, E>) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(effect)
            yield* TestClock.adjust("3 seconds")
            return yield* now(fiber)
          })
        assert.deepStrictEqual(Array.from(yield* inTime(typed.receiveChunk)), [1, 2])
        assert.strictEqual(yield* tagOf(inTime(typed.receiveChunk)), tag)
        assert.deepStrictEqual(yield* inTime(typed.receive), 4)
      })
    )
  )

  // It stayed at the head for ever: every receive was interrupted.
  it.effect("is one, too, whose schema interrupts itself", () =>
    withLease(json(0, 1, 0, 2))((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, { send: notZero, receive: notZero })
        const error = yield* Effect.flip(typed.receive)
        assert.strictEqual(error._tag, tag)
        assert.include(error.message, "Decoding <number> interrupted itself")
        assert.deepStrictEqual(Array.from(yield* typed.receiveChunk), [1])
        assert.strictEqual(yield* tagOf(typed.receiveChunk), tag)
        assert.strictEqual(yield* typed.receive, 2)
      })
    )
  )

  it.effect("leaves the rest of a chunk for any view of the lease", () =>
    withLease(bad)((connection) =>
      Effect.gen(function* () {
        const view = () => WebSocketConnection.schema(connection, answers)
        yield* view().receiveChunk
        const wider = Schema.Struct({ n: NumberOrText })
        const other = WebSocketConnection.schema(connection, { send: wider, receive: wider })
        assert.deepStrictEqual(yield* other.receive, { n: "two" })
        assert.deepStrictEqual(yield* view().receive, { n: 3 })
      })
    )
  )

  it.effect("comes before the end of the connection", () =>
    withLease((peer) =>
      Effect.andThen(
        peer.receive,
        Effect.andThen(
          Effect.forEach(["1", "x", "2"], (message) => peer.send(message)),
          peer.close(1000)
        )
      )
    )((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, { send: Schema.Number, receive: Schema.Number })
        assert.deepStrictEqual(Array.from(yield* typed.receiveChunk), [1])
        assert.strictEqual(yield* tagOf(Stream.runDrain(typed.messages)), tag)
        assert.deepStrictEqual(Array.from(yield* Stream.runCollect(typed.messages)), [2])
        assert.strictEqual(yield* tagOf(typed.receive), "ConnectionClosedError")
      })
    )
  )
})

describe("a value that cannot be encoded", () => {
  const circular: Record<string, unknown> = {}
  circular.self = circular

  it.effect.each<{ readonly name: string; readonly schema: AnySchema; readonly value: unknown }>([
    { name: "does not match", schema: any(Schema.Number), value: "secret" },
    { name: "has no word in JSON", schema: Schema.Unknown, value: undefined },
    { name: "is a function", schema: Schema.Unknown, value: () => "secret" },
    { name: "is circular", schema: Schema.Unknown, value: circular },
    { name: "makes its schema interrupt itself", schema: any(notZero), value: 0 },
    { name: "is a bigint", schema: Schema.Unknown, value: 12345678901234567890n }
  ])("is a ParseError and is not sent: it $name", ({ schema, value }) =>
    withLease(echo)((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, { send: schema, receive: Schema.Unknown })
        const error = yield* Effect.flip(typed.send(value))
        assert.instanceOf(error, Schema.SchemaError)
        assert.notInclude(error.message, "secret")
        assert.notInclude(error.message, "1234")
        yield* settle
        assert.deepStrictEqual((yield* peers)[0]?.received, [])
        if (schema === Schema.Unknown) yield* typed.send("fine")
      })
    )
  )
})

describe("a ParseError", () => {
  const secret = "s3cr3t"
  const cases = mismatches(secret)

  it.effect.each(cases)("shows where and what was expected, and not the payload: $name", ({ message, receive, says }) =>
    withLease(answering(message))((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, { send: Schema.Unknown, receive })
        const fiber = yield* Effect.forkChild(typed.receive)
        yield* settle
        const exit = yield* Fiber.await(fiber)
        assert.isTrue(Exit.isFailure(exit))
        const cause = Exit.isFailure(exit) ? exit.cause : Cause.empty
        const error = Option.getOrThrow(Cause.findErrorOption(cause))
        assert.instanceOf(error, Schema.SchemaError)
        assert.include(error.message, says)
        const everything = [
          error.message,
          String(error),
          error.stack,
          JSON.stringify(error),
          JSON.stringify(error.issue),
          ...[error, error.issue, exit].map((value) => inspect(value, { depth: 20, showHidden: true, getters: true })),
          Cause.pretty(cause),
          ...formatted(error)
        ]
        for (const text of everything) assert.notInclude(text, secret)
      })
    )
  )

  it.effect("is what comes of nesting without end, too", () => {
    const depth = 20_000
    const deep = `${'{"value":1,"left":'.repeat(depth)}"${secret}"${"}".repeat(depth)}`
    return withLease(answering(deep, '{"value":2}'))((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, { send: Schema.Unknown, receive: Tree })
        const error = yield* Effect.flip(typed.receive)
        assert.instanceOf(error, Schema.SchemaError)
        assert.notInclude(error.message, secret)
        assert.deepStrictEqual(yield* typed.receive, { value: 2 })
      })
    )
  })

  it.effect("keeps the path of a value that cannot be encoded", () =>
    withLease(listen)((connection) =>
      Effect.gen(function* () {
        const Login = Schema.Struct({ user: Schema.Struct({ password: longText(99) }) })
        const typed = WebSocketConnection.schema(connection, { send: Login, receive: Answer })
        const error = yield* Effect.flip(typed.send({ user: { password: secret } }))
        assert.include(error.message, '["password"]')
        assert.notInclude(inspect(error, { depth: 20 }), secret)
      })
    )
  )
})

describe("an interrupted receive", () => {
  it.effect("loses nothing while it waits", () =>
    withLease((peer) => Effect.andThen(Effect.sleep("2 seconds"), Effect.andThen(peer.send("1"), listen(peer))))(
      (connection) =>
        Effect.gen(function* () {
          const typed = WebSocketConnection.schema(connection, { send: Schema.Number, receive: Schema.Number })
          const fiber = yield* Effect.forkChild(typed.receive)
          yield* TestClock.adjust("1 second")
          yield* Fiber.interrupt(fiber)
          yield* TestClock.adjust("1 second")
          assert.strictEqual(yield* typed.receive, 1)
        })
    )
  )

  it.effect("loses nothing while it decodes: the next receive decodes the message anew", () =>
    withLease(json(1, 2))((connection) =>
      Effect.gen(function* () {
        const { decoded, schemas } = slowly()
        const typed = WebSocketConnection.schema(connection, schemas)
        const first = yield* Effect.forkChild(typed.receive)
        yield* TestClock.adjust("999 millis")
        notYet(first)
        yield* Fiber.interrupt(first)

        const second = yield* Effect.forkChild(Effect.zip(typed.receive, typed.receive))
        yield* TestClock.adjust("1999 millis")
        notYet(second)
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* now(second), [1, 2])
        assert.deepStrictEqual(decoded, [1, 1, 2])
      })
    )
  )

  it.effect("loses nothing where only the decoding can be interrupted", () =>
    withLease(json(1))((connection) =>
      Effect.gen(function* () {
        const pause = (n: number) => Effect.interruptible(Effect.delay(Effect.succeed(n), "1 second"))
        const schema = byEffects(pause)
        const typed = WebSocketConnection.schema(connection, { send: schema, receive: schema })
        const first = yield* Effect.forkChild(Effect.uninterruptible(typed.receive))
        yield* settle
        yield* Fiber.interrupt(first)
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(first)))
        const second = yield* Effect.forkChild(typed.receive)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* now(second), 1)
      })
    )
  )

  it.effect("loses nothing of a chunk", () =>
    withLease(json(1, 2, 3))((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, slowly().schemas)
        const first = yield* Effect.forkChild(typed.receiveChunk)
        yield* TestClock.adjust("2500 millis")
        yield* Fiber.interrupt(first)
        const second = yield* Effect.forkChild(typed.receiveChunk)
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(Array.from(yield* now(second)), [1, 2, 3])
      })
    )
  )

  const steps = Array.from({ length: 50 }, (_, index) => index)

  it.effect.each([
    { operation: "receive", when: "at once", schema: Schema.Number },
    { operation: "receiveChunk", when: "at once", schema: Schema.Number },
    { operation: "receive", when: "in several steps", schema: stepwise },
    { operation: "receiveChunk", when: "in several steps", schema: stepwise }
  ] as const)(
    "loses nothing and delivers nothing twice at any step: $operation, decoding $when",
    ({ operation, schema }) =>
      withLease((peer) => Effect.forever(Effect.andThen(peer.receive, Effect.andThen(peer.send("1"), peer.send("2")))))(
        (connection) =>
          Effect.gen(function* () {
            const typed = WebSocketConnection.schema(connection, { send: schema, receive: schema })
            yield* typed.receive
            yield* typed.receive
            for (const step of steps) {
              yield* connection.send("go")
              yield* Effect.repeat(Effect.andThen(Effect.yieldNow, connection.info), {
                until: ({ messagesReceived }) => messagesReceived === 4 + 2 * step
              })
              const all: Array<number> = []
              const record: Effect.Effect<unknown, unknown> =
                operation === "receive"
                  ? Effect.flatMap(typed.receive, (n) => Effect.succeed(all.push(n)))
                  : Effect.flatMap(typed.receiveChunk, (chunk) => Effect.succeed(all.push(...chunk)))
              yield* Fiber.await(yield* Effect.forkChild(withScheduler(record, interruptingAt(step))))
              while (all.length < 2) yield* record
              assert.deepStrictEqual(all, [1, 2], `interrupted after ${step} steps`)
            }
          })
      )
  )
})

describe("two fibers that receive", () => {
  it.effect("the second fails with ConnectionBusyError while the first waits or decodes", () =>
    withLease((peer) => Effect.andThen(Effect.sleep("1 second"), Effect.andThen(peer.send("1"), listen(peer))))(
      (connection) =>
        Effect.gen(function* () {
          const typed = WebSocketConnection.schema(connection, slowly().schemas)
          const first = yield* Effect.forkChild(typed.receive)
          yield* settle
          assert.propertyVal(yield* Effect.flip(typed.receive), "reason", "Receiving")
          yield* TestClock.adjust("1 second")
          assert.propertyVal(yield* Effect.flip(typed.receive), "reason", "Receiving")
          assert.propertyVal(yield* Effect.flip(typed.receiveChunk), "reason", "Receiving")
          yield* TestClock.adjust("1 second")
          assert.strictEqual(yield* now(first), 1)
        })
    )
  )

  it.effect("the second goes on where the first was interrupted, gave up, or failed", () =>
    withLease(json("x", 1, 2))((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, slowly().schemas)
        const failed = yield* Effect.forkChild(typed.receive.pipe(Effect.flip, Effect.andThen(Effect.never)))
        yield* settle
        notYet(failed)
        const interrupted = yield* Effect.forkChild(typed.receive.pipe(Effect.ensuring(Effect.sleep("1 minute"))))
        yield* settle
        yield* Effect.forkChild(Fiber.interrupt(interrupted))
        yield* settle
        notYet(interrupted)
        const last = yield* Effect.forkChild(typed.receive)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* now(last), 1)
      })
    )
  )

  it.effect("the second goes on when the schema has interrupted itself", () =>
    withLease(json(0, 1))((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, { send: notZero, receive: notZero })
        assert.strictEqual(yield* tagOf(typed.receive), tag)
        assert.strictEqual(yield* Fiber.join(yield* Effect.forkChild(typed.receive)), 1)
      })
    )
  )
})

describe("messages", () => {
  it.effect("leaves what it does not take", () =>
    withLease(json(1, 2, 3))((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(connection, { send: Schema.Number, receive: Schema.Number })
        assert.deepStrictEqual(Array.from(yield* Stream.runCollect(Stream.take(typed.messages, 2))), [1, 2])
        assert.strictEqual(yield* typed.receive, 3)
      })
    )
  )

  it.effect.each([
    { code: 1000, ends: true },
    { code: 4000, ends: false }
  ])("ends or fails as the connection is closed with $code", ({ code, ends }) =>
    withLease((peer) => peer.receive.pipe(Effect.andThen(peer.send("1")), Effect.andThen(peer.close(code))))(
      (connection) =>
        Effect.gen(function* () {
          const typed = WebSocketConnection.schema(connection, { send: Schema.Number, receive: Schema.Number })
          assert.strictEqual(Exit.isSuccess(yield* Effect.exit(Stream.runDrain(typed.messages))), ends)
        })
    )
  )
})

describe("schemaMessage", () => {
  const Point = msgPack(Schema.Struct({ x: Schema.Number, at: DateInText }))
  const point = { x: 1.5, at: new Date(0) }
  const points = { send: Point, receive: Point }

  it.effect("sends and receives MessagePack with schemas for it", () =>
    withLease(echo)((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schemaMessage(points)(connection)
        yield* typed.send(point)
        assert.deepStrictEqual(yield* typed.receive, point)
        const [sent] = (yield* peers)[0]?.received ?? []
        assert.instanceOf(sent, Uint8Array)
        assert.deepStrictEqual(Schema.decodeSync(Point)(sent as Uint8Array), point)
      })
    )
  )

  it.effect("fails for what is not MessagePack, without showing it, and goes on with the next message", () => {
    const secret = "s3cr3t"
    const fine = Schema.encodeSync(Point)(point)
    const wrong = Schema.encodeSync(msgPack(Schema.Unknown))({ x: secret, at: "1970-01-01" })
    const cut = wrong.slice(0, -3)
    return withLease(answering(fine, secret, wrong, cut, Uint8Array.of(0xc1), new Uint8Array(0), fine))((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schemaMessage(connection, points)
        assert.deepStrictEqual(Array.from(yield* typed.receiveChunk), [point])
        for (const says of [instead("string"), '["x"]', "<binary of", '["x"]', "<binary of 0 bytes>"]) {
          const error = yield* Effect.flip(typed.receive)
          assert.instanceOf(error, Schema.SchemaError)
          assert.include(error.message, says)
          assert.notInclude(inspect(error.issue, { depth: 20, showHidden: true }) + error.message, secret)
        }
        assert.deepStrictEqual(yield* typed.receive, point)
      })
    )
  })

  it.effect("takes any schema that encodes to messages", () =>
    withLease(answering("a,b", "c"))((connection) =>
      Effect.gen(function* () {
        const typed = WebSocketConnection.schemaMessage(connection, { send: Schema.String, receive: Words })
        const all = yield* typed.receiveChunk
        assert.deepStrictEqual(Array.from(all), [["a", "b"], ["c"]])
      })
    )
  )
})
