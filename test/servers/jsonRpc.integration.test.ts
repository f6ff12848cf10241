/** Servers of JSON-RPC that others wrote: the package `json-rpc-2.0`, and `vscode-jsonrpc`, which language servers stand on. */
import { JsonRpc } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import * as Deferred from "#effect/Deferred"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Schedule from "#effect/Schedule"
import * as Schema from "#effect/Schema"
import * as Stream from "#effect/Stream"
import { assert, describe, it } from "#support/vitest"
import { makeFeeds } from "./support/feeds.js"
import { makeLanguageServer } from "./support/languageServer.js"

const until = (condition: () => boolean) =>
  Effect.repeat(Effect.sync(condition).pipe(Effect.delay("2 millis")), { until: (is) => is })

class Feeds extends JsonRpc.Tag("Feeds")<Feeds>()({
  sum: JsonRpc.method("sum", { params: Schema.Array(Schema.Number), result: Schema.Number }),
  broken: JsonRpc.method("broken"),
  missing: JsonRpc.method("missing"),
  feed: JsonRpc.subscription({
    subscribe: "subscribe",
    unsubscribe: "unsubscribe",
    notification: "feed",
    params: Schema.Array(Schema.Number),
    item: Schema.Number
  })
}) {}

describe("json-rpc-2.0", { timeout: 60_000 }, () => {
  it.live("answers many calls at once, errors among them", () =>
    Effect.gen(function* () {
      const server = yield* makeFeeds().listening
      yield* Effect.gen(function* () {
        const numbers = Array.from({ length: 500 }, (_, index) => index)
        const sums = yield* Effect.forEach(numbers, (n) => Feeds.sum([n, 1]), { concurrency: 50 })
        assert.deepStrictEqual(
          sums,
          numbers.map((n) => n + 1)
        )
        assert.propertyVal(yield* Effect.flip(Feeds.broken()), "message", "out of order")
        assert.propertyVal(yield* Effect.flip(Feeds.missing()), "code", -32601)
      }).pipe(
        Effect.provide(Feeds.layer({ concurrency: 20 })),
        Effect.provide(NodeWebSocketPool.layer({ url: server.url }))
      )
    })
  )

  it.live("feeds are complete, and end with their readers", () =>
    Effect.gen(function* () {
      const feeds = makeFeeds()
      const server = yield* feeds.listening
      yield* Effect.gen(function* () {
        const taken = yield* Effect.forEach(
          [10, 20, 30],
          (from) => Stream.runCollect(Stream.take(Feeds.feed([from]), 20)),
          {
            concurrency: 3
          }
        )
        for (const [index, items] of taken.entries()) {
          const from = 10 * (index + 1)
          assert.deepStrictEqual(
            Array.from(items),
            Array.from({ length: 20 }, (_, n) => from + n)
          )
        }
        yield* until(() => feeds.live.size === 0)
      }).pipe(Effect.provide(Feeds.layer()), Effect.provide(NodeWebSocketPool.layer({ url: server.url })))
    })
  )

  it.live("a feed that is retried goes on when its server has restarted, and so do calls", () =>
    Effect.gen(function* () {
      const feeds = makeFeeds()
      const server = yield* feeds.listening
      yield* Effect.gen(function* () {
        let items = 0
        const feed = yield* Feeds.feed([0]).pipe(
          Stream.retry(Schedule.spaced("5 millis")),
          Stream.runForEach(() => Effect.sync(() => (items += 1))),
          Effect.forkScoped
        )
        for (let restart = 1; restart <= 3; restart++) {
          const before = items
          yield* until(() => items > before + 5)
          yield* server.stop
          yield* server.restart
          yield* until(() => feeds.subscriptions() > restart)
          assert.strictEqual(yield* Effect.retry(Feeds.sum([1, 2]), { times: 3 }), 3)
        }
        assert.strictEqual(feeds.live.size, 1)
        yield* Fiber.interrupt(feed)
        yield* until(() => feeds.live.size === 0)
      }).pipe(Effect.provide(Feeds.layer()), Effect.provide(NodeWebSocketPool.layer({ url: server.url })))
    })
  )
})

const Word = Schema.Struct({ word: Schema.String })

class Language extends JsonRpc.Tag("Language")<Language>()({
  didOpen: JsonRpc.notification("textDocument/didOpen", {
    params: Schema.Struct({ textDocument: Schema.Struct({ uri: Schema.String }) })
  }),
  hover: JsonRpc.method("textDocument/hover", { params: Word, result: Schema.Struct({ contents: Schema.String }) }),
  references: JsonRpc.method("textDocument/references", { params: Word }),
  unknown: JsonRpc.method("workspace/unknown"),
  log: JsonRpc.incoming("window/logMessage", { params: Schema.Struct({ message: Schema.String }) })
}) {}

describe("a language server", { timeout: 60_000 }, () => {
  const client = (url: string) =>
    Language.layer({
      cancelMethod: "$/cancelRequest",
      handlers: { "workspace/configuration": () => Effect.succeed(["bold"]) }
    }).pipe(Layer.provide(NodeWebSocketPool.layer({ url })))

  it.live("asks its client back, and tells it things", () =>
    Effect.gen(function* () {
      const server = makeLanguageServer()
      const { url } = yield* server.listening
      yield* Effect.gen(function* () {
        const told = yield* Deferred.make<string>()
        yield* Effect.forkScoped(
          Stream.runForEach(Stream.take(Language.log, 1), ({ message }) => Deferred.succeed(told, message))
        )
        yield* Language.didOpen({ textDocument: { uri: "file:///a.ts" } })
        // Whoever listens has begun to by the time a server answers.
        assert.deepStrictEqual(yield* Language.hover({ word: "pool" }), { contents: "bold: pool" })
        assert.strictEqual(yield* Deferred.await(told), "hover over pool")
        assert.deepStrictEqual(server.opened, ["file:///a.ts"])
      }).pipe(Effect.provide(client(url)))
    })
  )

  it.live("hears of requests that nobody waits for, by $/cancelRequest", () =>
    Effect.gen(function* () {
      const server = makeLanguageServer()
      const { url } = yield* server.listening
      yield* Effect.gen(function* () {
        const asked = yield* Effect.forkScoped(
          Effect.forEach(["a", "b", "c"], (word) => Language.references({ word }), { concurrency: 3 })
        )
        yield* until(() => server.references() === 3)
        yield* Fiber.interrupt(asked)
        yield* until(() => server.cancelled() === 3)
        assert.deepStrictEqual(yield* Language.hover({ word: "pool" }), { contents: "bold: pool" })
      }).pipe(Effect.provide(client(url)))
    })
  )

  it.live("is told what its client does not know", () =>
    Effect.gen(function* () {
      const { url } = yield* makeLanguageServer().listening
      const error = yield* Effect.flip(Language.unknown()).pipe(Effect.provide(client(url)))
      assert.deepInclude(error, { _tag: "JsonRpcError", code: -32601 })
    })
  )
})
