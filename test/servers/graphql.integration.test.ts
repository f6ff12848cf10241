/** A GraphQL server of `graphql-ws`. */

import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Redacted from "#effect/Redacted"
import * as Schedule from "#effect/Schedule"
import * as Stream from "#effect/Stream"
import * as example from "#examples/servers/graphql"
import { edition } from "#support/edition"
import { assert, describe, it } from "#support/vitest"
import { graphql } from "./support/graphql.js"
import { runExample, statsWhen } from "./support/pool.js"

const until = (condition: () => boolean) =>
  Effect.repeat(Effect.sync(condition).pipe(Effect.delay("5 millis")), { until: (is) => is })

describe("graphql-ws", { timeout: 60_000 }, () => {
  it.live("the example runs as it is", () =>
    Effect.gen(function* () {
      const { url } = yield* graphql()
      const { stderr, stdout } = yield* runExample(`graphql.${edition}.ts`, url)
      assert.strictEqual(stderr, "")
      assert.deepStrictEqual(stdout.trim().split("\n"), [
        "{ hello: 'Hello, World!' }",
        "{ countdown: 3 }",
        "{ countdown: 2 }",
        "{ countdown: 1 }"
      ])
    })
  )

  it.live("one connection, greeted once, serves query after query", () =>
    Effect.gen(function* () {
      const { url } = yield* graphql("secret")
      yield* Effect.gen(function* () {
        for (let i = 0; i < 3; i++)
          assert.deepStrictEqual(yield* example.query("{ hello }"), { hello: "Hello, World!" })
        const countdown = yield* example
          .execute("subscription ($from: Int!) { countdown(from: $from) }", { from: 2 })
          .pipe(Stream.runCollect)
        assert.deepStrictEqual(Array.from(countdown), [{ countdown: 2 }, { countdown: 1 }])
        assert.strictEqual(
          yield* WebSocketPool.use((connection) => Effect.succeed(connection.protocol)),
          "graphql-transport-ws"
        )
        const { closed, opened } = yield* WebSocketPool.stats
        assert.deepStrictEqual({ closed, opened }, { closed: 0, opened: 1 })
      }).pipe(Effect.provide(example.layer(url, Redacted.make("secret"))))
    })
  )

  it.live("a wrong token is a failed setup, closed by the server with 4403", () =>
    Effect.gen(function* () {
      const { url } = yield* graphql("secret")
      const error = yield* example
        .query("{ hello }")
        .pipe(
          Effect.flip,
          Effect.provide(
            NodeWebSocketPool.layer({ ...example.options(url, Redacted.make("guess")), retry: Schedule.recurs(0) })
          )
        )
      if (error._tag !== "ConnectionUnavailableError") return assert.fail(error._tag)
      assert.strictEqual(error.reason, "Setup")
      assert.propertyVal(error.cause, "_tag", "ConnectionClosedError")
      assert.propertyVal(error.cause, "code", 4403)
    })
  )

  it.live("an operation that fails is an error, and its connection is used again", () =>
    Effect.gen(function* () {
      const { url } = yield* graphql()
      yield* Effect.gen(function* () {
        const invalid = yield* Effect.flip(example.query("{ nonsense }"))
        assert.instanceOf(invalid, example.GraphQLFailure)
        assert.include(invalid.message, 'Cannot query field "nonsense"')
        const broken = yield* Effect.flip(example.query("{ broken }"))
        assert.propertyVal(broken, "message", "it is broken")
        assert.deepStrictEqual(yield* example.query("{ hello }"), { hello: "Hello, World!" })
        assert.strictEqual((yield* WebSocketPool.stats).opened, 1)
      }).pipe(Effect.provide(example.layer(url)))
    })
  )

  it.live("a subscription of which enough was seen is cancelled, and its connection used again", () =>
    Effect.gen(function* () {
      const { ticking, url } = yield* graphql()
      yield* Effect.gen(function* () {
        for (let i = 0; i < 3; i++) {
          const ticks = yield* example.execute("subscription { ticks }").pipe(Stream.take(3), Stream.runCollect)
          assert.deepStrictEqual(Array.from(ticks), [{ ticks: 1 }, { ticks: 2 }, { ticks: 3 }])
          assert.deepStrictEqual(yield* example.query("{ hello }"), { hello: "Hello, World!" })
        }
        yield* until(() => ticking() === 0)
        const { closed, opened } = yield* WebSocketPool.stats
        assert.deepStrictEqual({ closed, opened }, { closed: 0, opened: 1 })
      }).pipe(Effect.provide(example.layer(url)))
    })
  )

  it.live("a subscription that is interrupted is cancelled, and its connection used again", () =>
    Effect.gen(function* () {
      const { ticking, url } = yield* graphql()
      yield* Effect.gen(function* () {
        const subscriber = yield* Effect.forkChild(Stream.runDrain(example.execute("subscription { ticks }")))
        yield* until(() => ticking() === 1)
        yield* Fiber.interrupt(subscriber)
        yield* until(() => ticking() === 0)
        assert.deepStrictEqual(yield* example.query("{ hello }"), { hello: "Hello, World!" })
        const { closed, opened } = yield* WebSocketPool.stats
        assert.deepStrictEqual({ closed, opened }, { closed: 0, opened: 1 })
      }).pipe(Effect.provide(example.layer(url)))
    })
  )

  it.live("with the default discardOn, the connection of an interrupted subscription is closed", () =>
    Effect.gen(function* () {
      const { ticking, url } = yield* graphql()
      yield* Effect.gen(function* () {
        const subscriber = yield* Effect.forkChild(Stream.runDrain(example.execute("subscription { ticks }")))
        yield* until(() => ticking() === 1)
        yield* Fiber.interrupt(subscriber)
        yield* until(() => ticking() === 0)
        const { discarded } = yield* statsWhen(({ closed }) => closed === 1)
        assert.strictEqual(discarded, 1)
        assert.deepStrictEqual(yield* example.query("{ hello }"), { hello: "Hello, World!" })
      }).pipe(Effect.provide(NodeWebSocketPool.layer({ ...example.options(url), discardOn: undefined })))
    })
  )

  it.live("the answer to a query that was given up reaches nobody", () =>
    Effect.gen(function* () {
      const { answerLater, url, waiting } = yield* graphql()
      yield* Effect.gen(function* () {
        const asking = yield* Effect.forkChild(example.query("{ later }"))
        yield* until(() => waiting() === 1)
        yield* Fiber.interrupt(asking)
        answerLater()
        assert.deepStrictEqual(yield* example.query("{ hello }"), { hello: "Hello, World!" })
        assert.strictEqual((yield* WebSocketPool.stats).opened, 1)
      }).pipe(Effect.provide(example.layer(url)))
    })
  )

  it.live("a ping of the server is answered in a lease, and dropped while idle", () =>
    Effect.gen(function* () {
      const { answerLater, ping, pongs, url, waiting } = yield* graphql()
      yield* Effect.gen(function* () {
        const asking = yield* Effect.forkChild(example.query("{ later }"))
        yield* until(() => waiting() === 1)
        ping()
        yield* until(() => pongs() === 1)
        answerLater()
        assert.deepStrictEqual(yield* Fiber.join(asking), { later: "at last" })

        yield* statsWhen(({ idle }) => idle === 1)
        ping()
        yield* statsWhen(({ messagesDropped }) => messagesDropped === 1)
        assert.deepStrictEqual(yield* example.query("{ hello }"), { hello: "Hello, World!" })
        assert.strictEqual((yield* WebSocketPool.stats).opened, 1)
        assert.strictEqual(pongs(), 1)
      }).pipe(Effect.provide(example.layer(url)))
    })
  )

  it.live("an idle connection is checked with the protocol's own ping", () =>
    Effect.gen(function* () {
      const { pings, url } = yield* graphql()
      yield* Effect.gen(function* () {
        yield* example.query("{ hello }")
        yield* until(() => pings() >= 2)
        const { closed, healthCheckFailures } = yield* WebSocketPool.stats
        assert.deepStrictEqual({ closed, healthCheckFailures }, { closed: 0, healthCheckFailures: 0 })
      }).pipe(Effect.provide(NodeWebSocketPool.layer({ ...example.options(url), pingInterval: "50 millis" })))
    })
  )

  it.live("a server that closes all its connections is reached again", () =>
    Effect.gen(function* () {
      const { sockets, url } = yield* graphql()
      yield* Effect.gen(function* () {
        yield* example.query("{ hello }")
        sockets[0]?.terminate()
        yield* statsWhen(({ closed }) => closed === 1)
        assert.deepStrictEqual(yield* example.query("{ hello }"), { hello: "Hello, World!" })
      }).pipe(Effect.provide(example.layer(url)))
    })
  )
})
