import { inspect } from "node:util"
import { PoolError, WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
import { isSchemaError } from "#edition/messages/schema"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import { pipe } from "#effect/Function"
import * as Schema from "#effect/Schema"
import type * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { isTimeout } from "#support/fibers"
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

/** A server that answers each message with its words, one by one, a second apart. */
const words: Handler = (peer) =>
  Effect.forever(
    Effect.flatMap(peer.receive, (message) =>
      Effect.forEach(String(message).split(" "), (word) => Effect.andThen(Effect.sleep("1 second"), peer.send(word)))
    )
  )

/** A server that answers each message with all of these at once. */
const answering =
  (...messages: ReadonlyArray<string>): Handler =>
  (peer) =>
    Effect.forever(
      Effect.andThen(
        peer.receive,
        Effect.forEach(messages, (message) => peer.send(message))
      )
    )

const isEnd = (message: unknown) => message === "end"

/** A pool that gives connections up only when it is told to. */
const withPool =
  (handler: Handler, options: Partial<Options> = {}) =>
  <A, E>(body: Effect.Effect<A, E, Scope.Scope | Server | WebSocketPool.WebSocketPool>): Effect.Effect<A, unknown> =>
    body.pipe(Effect.scoped, Effect.provide(poolWith({ discardOn: () => false, ...options }, handler)))

/** Runs this on a lease, and tells whether the connection was discarded at its end. */
const isDiscardedAfter = <A, E, R>(
  body: (connection: WebSocketConnection.WebSocketConnection) => Effect.Effect<A, E, R>
): Effect.Effect<boolean, E | PoolError.AcquireError, R | WebSocketPool.WebSocketPool> =>
  Effect.gen(function* () {
    const before = (yield* WebSocketPool.stats).discarded
    yield* Effect.scoped(Effect.flatMap(WebSocketPool.get, body))
    yield* settle
    return (yield* WebSocketPool.stats).discarded > before
  })

const { request } = WebSocketConnection

describe("request", () => {
  it.effect("sends a message and gives the first one that comes", () =>
    withPool(echo)(
      Effect.gen(function* () {
        const isDiscarded = yield* isDiscardedAfter((connection) =>
          Effect.gen(function* () {
            assert.deepStrictEqual(Array.from(yield* request(connection, "one")), ["one"])
            assert.deepStrictEqual(Array.from(yield* request(connection, Uint8Array.of(2))), [Uint8Array.of(2)])
          })
        )
        assert.isFalse(isDiscarded)
        assert.strictEqual((yield* WebSocketPool.stats).idle, 1)
      })
    )
  )

  it.effect("collects up to the first message for which until holds, and leaves the rest", () =>
    withPool(answering("a", "b", "end", "end", "c"))(
      Effect.gen(function* () {
        const connection = yield* WebSocketPool.get
        assert.deepStrictEqual(Array.from(yield* request(connection, "go", { until: isEnd })), ["a", "b", "end"])
        assert.deepStrictEqual(Array.from(yield* Stream.runCollect(Stream.take(connection.messages, 2))), ["end", "c"])
      })
    )
  )

  it.effect("can be piped to", () =>
    withPool(answering("a", "end"))(
      Effect.gen(function* () {
        const connection = yield* WebSocketPool.get
        assert.deepStrictEqual(Array.from(yield* pipe(connection, request("go", { until: isEnd }))), ["a", "end"])
        assert.deepStrictEqual(Array.from(yield* pipe(connection, request("go"))), ["a"])
      })
    )
  )

  it.effect("counts what was waiting already", () =>
    withPool((peer) => Effect.andThen(peer.send("welcome"), echo(peer)))(
      Effect.gen(function* () {
        const connection = yield* WebSocketPool.get
        yield* settle
        assert.deepStrictEqual(Array.from(yield* request(connection, "hello")), ["welcome"])
      })
    )
  )

  it.effect("can be run again", () =>
    withPool(echo)(
      Effect.gen(function* () {
        const again = request(yield* WebSocketPool.get, "same")
        assert.deepStrictEqual(Array.from(yield* again), ["same"])
        assert.deepStrictEqual(Array.from(yield* again), ["same"])
      })
    )
  )
})

describe("on a typed connection", () => {
  const Ask = Schema.Struct({ _tag: Schema.Literal("Ask"), count: Schema.Number })
  const Item = Schema.Struct({ item: Schema.NumberFromString, last: Schema.optional(Schema.Boolean) })
  const schemas = { send: Ask, receive: Item }

  it.effect("encodes the message, and until sees values", () =>
    withPool(answering('{"item":"1"}', '{"item":"2","last":true}', '{"item":"3"}'))(
      Effect.gen(function* () {
        const typed = WebSocketConnection.schema(yield* WebSocketPool.get, schemas)
        const items = yield* request(typed, { _tag: "Ask", count: 2 }, { until: ({ last }) => last === true })
        assert.deepStrictEqual(Array.from(items), [{ item: 1 }, { item: 2, last: true }])
        const piped = yield* pipe(typed, request({ _tag: "Ask", count: 1 }))
        assert.deepStrictEqual(Array.from(piped), [{ item: 3 }])
        yield* settle
        assert.deepStrictEqual((yield* peers)[0]?.received, ['{"_tag":"Ask","count":2}', '{"_tag":"Ask","count":1}'])
      })
    )
  )

  it.effect("sends nothing and keeps the connection when the message cannot be encoded", () =>
    withPool(listen)(
      Effect.gen(function* () {
        const isDiscarded = yield* isDiscardedAfter((connection) => {
          const typed = WebSocketConnection.schema(connection, { send: Schema.NonEmptyString, receive: Item })
          return Effect.map(Effect.flip(request(typed, "")), (error) => assert.isTrue(isSchemaError(error)))
        })
        assert.isFalse(isDiscarded)
        assert.deepStrictEqual((yield* peers)[0]?.received, [])
      })
    )
  )

  it.effect("fails at a message that does not match, discards, and leaves the next messages", () =>
    withPool(answering('{"item":"1"}', '{"item":2}', '{"item":"3"}'))(
      Effect.gen(function* () {
        const isDiscarded = yield* isDiscardedAfter((connection) =>
          Effect.gen(function* () {
            const typed = WebSocketConnection.schema(connection, schemas)
            const error = yield* Effect.flip(
              request(typed, { _tag: "Ask", count: 3 }, { until: ({ item }) => item > 1 })
            )
            assert.isTrue(isSchemaError(error))
            assert.deepStrictEqual(yield* typed.receive, { item: 3 })
          })
        )
        assert.isTrue(isDiscarded)
      })
    )
  )
})

describe("a request that does not come to its end", () => {
  it.effect("discards the connection when it is interrupted, so that the rest of its answer reaches nobody", () =>
    withPool(words)(
      Effect.gen(function* () {
        const isDiscarded = yield* isDiscardedAfter((connection) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(request(connection, "a b end", { until: isEnd }))
            yield* TestClock.adjust("2500 millis")
            notYet(fiber)
            yield* Fiber.interrupt(fiber)
          })
        )
        assert.isTrue(isDiscarded)
        const next = yield* WebSocketPool.get
        const fiber = yield* Effect.forkChild(request(next, "x end", { until: isEnd }))
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(Array.from(yield* now(fiber)), ["x", "end"])
      })
    )
  )

  it.effect("discards it at a timeout", () =>
    withPool(listen)(
      Effect.gen(function* () {
        const isDiscarded = yield* isDiscardedAfter((connection) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(Effect.flip(Effect.timeout(request(connection, "?"), "5 seconds")))
            yield* TestClock.adjust("4999 millis")
            notYet(fiber)
            yield* TestClock.adjust("1 millis")
            assert.isTrue(isTimeout(yield* now(fiber)))
          })
        )
        assert.isTrue(isDiscarded)
      })
    )
  )

  it.effect("discards it when it is interrupted while it waits for room to send", () =>
    withPool(() => Effect.never, { sendBuffer: 1 })(
      Effect.gen(function* () {
        const isDiscarded = yield* isDiscardedAfter((connection) =>
          Effect.gen(function* () {
            yield* connection.send("fills the buffer")
            const fiber = yield* Effect.forkChild(request(connection, "?"))
            yield* settle
            assert.strictEqual((yield* connection.info).messagesSent, 1)
            yield* Fiber.interrupt(fiber)
          })
        )
        assert.isTrue(isDiscarded)
      })
    )
  )

  it.effect("leaves it alone when it is interrupted before it has begun", () =>
    withPool(listen)(
      Effect.gen(function* () {
        const isDiscarded = yield* isDiscardedAfter((connection) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(Effect.andThen(Effect.sleep("1 second"), request(connection, "?")))
            yield* settle
            yield* Fiber.interrupt(fiber)
          })
        )
        assert.isFalse(isDiscarded)
        assert.deepStrictEqual((yield* peers)[0]?.received, [])
      })
    )
  )

  it.effect("fails as the connection does", () =>
    withPool((peer) => peer.receive.pipe(Effect.andThen(peer.send("a")), Effect.andThen(peer.close(4000))))(
      Effect.gen(function* () {
        const connection = yield* WebSocketPool.get
        const error = yield* Effect.flip(request(connection, "?", { until: isEnd }))
        assert.instanceOf(error, PoolError.ConnectionClosedError)
        assert.strictEqual(error.code, 4000)
      })
    )
  )

  it.effect("fails when the lease is over", () =>
    withPool(echo)(
      Effect.gen(function* () {
        const connection = yield* Effect.scoped(WebSocketPool.get)
        const error = yield* Effect.flip(request(connection, "?"))
        assert.propertyVal(error, "reason", "Released")
      })
    )
  )

  it.effect("fails and discards when until throws, without showing the message", () =>
    withPool(answering('{"token":"s3cr3t'))(
      Effect.gen(function* () {
        const isDiscarded = yield* isDiscardedAfter((connection) =>
          Effect.gen(function* () {
            const exit = yield* Effect.exit(
              request(connection, "?", { until: (message) => JSON.parse(String(message)).done })
            )
            assert.isTrue(Exit.isFailure(exit))
            const error = yield* Effect.flip(exit)
            assert.instanceOf(error, Schema.SchemaError)
            assert.include(error.message, "until, given <string> threw SyntaxError")
            assert.notInclude(inspect(exit, { depth: 20, showHidden: true }), "s3cr3t")
          })
        )
        assert.isTrue(isDiscarded)
      })
    )
  )
})

describe("two requests at once on a lease", () => {
  it.effect("the second fails before it sends, and the first is not disturbed", () =>
    withPool(words)(
      Effect.gen(function* () {
        const isDiscarded = yield* isDiscardedAfter((connection) =>
          Effect.gen(function* () {
            const typed = WebSocketConnection.schema(connection, { send: Schema.Number, receive: Schema.Number })
            const first = yield* Effect.forkChild(request(connection, "a end", { until: isEnd }))
            yield* TestClock.adjust("1500 millis")
            for (const second of [request(connection, "b"), request(typed, 1)]) {
              const error = yield* Effect.flip(second as Effect.Effect<unknown, PoolError.PoolError>)
              assert.instanceOf(error, PoolError.ConnectionBusyError)
              assert.strictEqual(error.reason, "Receiving")
            }
            yield* TestClock.adjust("500 millis")
            assert.deepStrictEqual(Array.from(yield* now(first)), ["a", "end"])
          })
        )
        assert.isFalse(isDiscarded)
        assert.deepStrictEqual((yield* peers)[0]?.received, ["a end"])
      })
    )
  )

  it.effect.each([
    { after: "succeeded", message: "end" },
    { after: "was interrupted", message: "a end" },
    { after: "failed", message: "throw end" }
  ])("the second is served once the first $after", ({ message }) =>
    withPool(words)(
      Effect.gen(function* () {
        const connection = yield* WebSocketPool.get
        const until = (received: unknown) => {
          if (received === "throw") throw new Error("no")
          return isEnd(received)
        }
        const first = yield* Effect.forkChild(request(connection, message, { until }))
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(first)
        const second = yield* Effect.forkChild(request(connection, "end", { until }))
        yield* TestClock.adjust("2 seconds")
        assert.isTrue(Exit.isSuccess(yield* Effect.exit(now(second))))
      })
    )
  )

  it.effect("a receive that is under way makes it fail and discard", () =>
    withPool(echo)(
      Effect.gen(function* () {
        const isDiscarded = yield* isDiscardedAfter((connection) =>
          Effect.gen(function* () {
            const receiving = yield* Effect.forkChild(connection.receive)
            yield* settle
            const error = yield* Effect.flip(request(connection, "mine"))
            assert.propertyVal(error, "reason", "Receiving")
            assert.strictEqual(yield* Fiber.join(receiving), "mine")
          })
        )
        assert.isTrue(isDiscarded)
      })
    )
  )
})
