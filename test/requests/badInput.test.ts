import { JsonRpc, Multiplexer, WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Schema from "#effect/Schema"
import * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, it } from "#support/vitest"
import { expectTag, notYet, now } from "../support/memoryPool.js"
import { json, members, rpc, said } from "./rpcSupport.js"
import { cancelling, counts, crediting, decode, expectSent, say, scenario, start } from "./support.js"

const { End, Item } = Multiplexer.Incoming

const isParseError = (error: unknown): void =>
  assert.include(["ParseError", "SchemaError"], (error as { readonly _tag?: string })._tag, String(error))

/** A codec that decodes everything as this. */
const decoding = (incoming: () => unknown) => (): Multiplexer.Codec<string, string, string> => ({
  ...cancelling(),
  decode: (message) => (String(message).startsWith("odd") ? (incoming() as never) : decode(message))
})

describe("A codec that decodes nonsense", () => {
  const nonsense: Record<string, () => unknown> = {
    nothing: () => undefined,
    "no array": () => Item({ id: 1, value: "x" }),
    "an array of nothing": () => [undefined],
    null: () => [null],
    "an unknown tag": () => [{ _tag: "Answer", id: 1 }],
    "an end without an exit": () => [{ _tag: "End", id: 1, value: "x" }],
    "a rejected promise of an array": () => Promise.resolve([])
  }
  for (const [what, incoming] of Object.entries(nonsense)) {
    it.effect(`ends the connection with 1002, Local: ${what}`, () =>
      scenario({ codec: decoding(incoming) }, {}, (lines, sockets) =>
        Effect.gen(function* () {
          const call = yield* start(lines.request("a"))
          yield* say(sockets[0], "odd")
          const error = (yield* Effect.flip(now(call))) as Multiplexer.RequestError
          expectTag(error, "ConnectionClosedError")
          assert.deepInclude(error, { code: 1002, initiator: "Local" })
          // The next one goes over another connection.
          const next = yield* start(lines.request("b"))
          yield* say(sockets[1], "1 = B")
          assert.strictEqual(yield* now(next), "B")
        })
      )
    )
  }

  for (const id of [0, -1, Number.NaN, 1.5, 1e308, Number.POSITIVE_INFINITY, "1", undefined, null, {}]) {
    it.effect(`an id that cannot be one is unmatched: ${String(id)}`, () =>
      scenario(
        {
          codec: decoding(() => [
            Item({ id: id as number, value: "x" }),
            End({ id: id as number, exit: Exit.succeed("y") })
          ])
        },
        {},
        (lines, sockets) =>
          Effect.gen(function* () {
            const call = yield* start(lines.request("a"))
            yield* say(sockets[0], "odd")
            notYet(call)
            assert.strictEqual((yield* lines.stats).unmatched, 2)
            yield* say(sockets[0], "1 = A")
            assert.strictEqual(yield* now(call), "A")
          })
      )
    )
  }
})

describe("A codec that throws or writes nonsense", () => {
  for (const message of [undefined, 5, { text: "x" }]) {
    it.effect(`encode: the request's ParseError, and nothing is sent: ${String(message)}`, () =>
      scenario(
        { codec: () => ({ ...cancelling(), encode: () => message as never }), concurrency: 1 },
        { maxConnections: 1 },
        (lines, sockets) =>
          Effect.gen(function* () {
            for (const _ of [1, 2]) isParseError(yield* Effect.flip(now(yield* start(lines.request("a")))))
            isParseError(yield* Effect.flip(now(yield* start(Stream.runDrain(lines.stream("a"))))))
            expectSent(sockets[0])
            assert.deepStrictEqual(yield* counts(lines), { connections: 1, requests: 3 })
          })
      )
    )
  }

  const cancels: Record<string, () => never> = {
    throws: () => {
      throw new Error("a bug")
    },
    "gives no message": () => 5 as never
  }
  for (const [what, cancel] of Object.entries(cancels)) {
    it.effect(`cancel that ${what} is none: the place stays taken until the answer comes`, () =>
      scenario({ codec: () => ({ ...cancelling(), cancel }) }, {}, (lines, sockets) =>
        Effect.gen(function* () {
          const call = yield* start(lines.request("a"))
          yield* start(lines.request("b"))
          yield* Fiber.interrupt(call)
          assert.deepInclude(yield* counts(lines), { abandoned: 1, inFlight: 1 })
          yield* say(sockets[0], "1 = late")
          assert.deepStrictEqual(yield* counts(lines), {
            connections: 1,
            inFlight: 1,
            requests: 2,
            cancelled: 1,
            unmatched: 1
          })
        })
      )
    )

    it.effect(`ack that ${what} is none: the stream goes on`, () =>
      scenario({ codec: () => ({ ...crediting(), ack: cancel }) }, {}, (lines, sockets) =>
        Effect.gen(function* () {
          const items = yield* start(Stream.runCollect(lines.stream("s")))
          yield* say(sockets[0], "1 + one", "1 + two", "1 .")
          assert.deepStrictEqual(Array.from(yield* now(items)), ["one", "two"])
          expectSent(sockets[0], "1 s")
        })
      )
    )
  }

  it.effect("one that cannot be made fails the request, and its connection goes back", () =>
    scenario(
      {
        codec: () => {
          throw new Error("a secret")
        }
      },
      {},
      (lines, sockets, pool) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(now(yield* start(lines.request("a"))))
          isParseError(error)
          assert.notInclude(String(error), "secret")
          assert.deepInclude(yield* pool.stats, { idle: 1, busy: 0 })
          expectSent(sockets[0])
        })
    )
  )
})

describe("JsonRpc", () => {
  const cyclic: Record<string, unknown> = {}
  cyclic.self = cyclic
  for (const [what, params] of Object.entries({ "a bigint": 1n, "a cycle": cyclic })) {
    it.effect(`params that JSON has no text for are the call's ParseError: ${what}`, () =>
      rpc({}, {}, (api, sockets) =>
        Effect.gen(function* () {
          const call = api.call as (params: unknown) => Effect.Effect<unknown, unknown>
          const heads = api.heads as (params: unknown) => Stream.Stream<unknown, unknown>
          isParseError(yield* Effect.flip(now(yield* start(call(params)))))
          isParseError(yield* Effect.flip(now(yield* start(Stream.runDrain(heads(params))))))
          assert.deepStrictEqual(said(sockets[0]), [])
          const next = yield* start(api.call())
          const [{ id }] = said(sockets[0]) as [{ readonly id: number }]
          yield* say(sockets[0], json({ id, result: 1 }))
          assert.strictEqual(yield* now(next), 1)
        })
      )
    )
  }

  it.effect("a value of a subscription that throws was taken for a breach of the protocol by the server", () => {
    const group = {
      call: members.call,
      heads: JsonRpc.subscription({
        subscribe: "sub",
        unsubscribe: "unsub",
        notification: "note",
        item: Schema.Number,
        id: (params) => (params as { readonly of: string }).of,
        value: (params) => (params as { readonly deep: { readonly value: number } }).deep.value
      })
    }
    return rpc({}, {}, (_, sockets, pool) =>
      Effect.gen(function* () {
        const api = yield* Effect.provideService(JsonRpc.make(group), WebSocketPool.WebSocketPool, pool)
        const heads = yield* start(Stream.runDrain(api.heads()))
        const call = yield* start(api.call())
        yield* say(sockets[0], json({ id: 1, result: "x" }))
        yield* say(sockets[0], json({ method: "note" }), json({ method: "note", params: { of: "x" } }))
        isParseError(yield* Effect.flip(now(heads)))
        yield* say(sockets[0], json({ id: 2, result: 2 }))
        assert.strictEqual(yield* now(call), 2)
        assert.deepStrictEqual(sockets[0]!.closes, [])
      })
    )
  })

  for (const handlers of [5, "ask", null, []]) {
    it.effect(`handlers that are none are a ConfigError: ${JSON.stringify(handlers)}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(rpc({ handlers: handlers as never }, {}, () => Effect.void))
        assert.include(String(error), "handlers")
      })
    )
  }

  it("a member may not be called as something that its tag has itself", () => {
    for (const name of ["layer", "layerConfig", "key", "of", "name", "pipe"]) {
      assert.throws(() => JsonRpc.Tag("Bad")<object>()({ [name]: members.call } as never), name)
    }
    JsonRpc.Tag("Good")<object>()({ call: members.call, apply: members.call })
  })
})

describe("A9, A10 what had no test", () => {
  it.effect("maxConnections counts those that retire", () =>
    scenario({ maxConnections: 1 }, {}, (lines, sockets, pool) =>
      Effect.gen(function* () {
        const first = yield* start(lines.request("a"))
        yield* pool.refresh
        const second = yield* start(lines.request("b"))
        assert.strictEqual(sockets.length, 1)
        assert.deepInclude(yield* counts(lines), { connections: 1, retiring: 1, waiting: 1 })
        yield* say(sockets[0], "1 = A")
        yield* now(first)
        expectSent(sockets[1], "1 b")
        notYet(second)
      })
    )
  )

  it.effect("connectionTTL and resize fail no request that ends within retireTimeout", () =>
    scenario({ concurrency: 1, targetUtilization: 1 }, { connectionTTL: "10 seconds" }, (lines, sockets, pool) =>
      Effect.gen(function* () {
        const calls = yield* Effect.forEach(["a", "b"], (text) => start(lines.request(text)))
        yield* pool.resize({ maxConnections: 1 })
        yield* TestClock.adjust("20 seconds")
        assert.deepInclude(yield* counts(lines), { retiring: 2, inFlight: 2 })
        for (const [index, call] of calls.entries()) {
          yield* say(sockets[index], "1 = yes")
          assert.strictEqual(yield* now(call), "yes")
        }
        assert.deepStrictEqual(
          sockets.map(({ closes }) => closes),
          [[1000], [1000]]
        )
      })
    )
  )

  it.effect("A14 those who wait when a multiplexer closes are answered PoolClosedError", () =>
    scenario({}, {}, (_, sockets, pool) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const lines = yield* Multiplexer.make({ codec: cancelling, concurrency: 1, maxConnections: 1 }).pipe(
          Effect.provideService(WebSocketPool.WebSocketPool, pool),
          Scope.provide(scope)
        )
        const first = yield* start(lines.request("a"))
        const second = yield* start(lines.request("b"))
        const closing = yield* start(Scope.close(scope, Exit.void))
        expectTag((yield* Effect.flip(now(second))) as Multiplexer.RequestError, "PoolClosedError")
        notYet(first)
        notYet(closing)
        yield* say(sockets[0], "1 = A")
        assert.strictEqual(yield* now(first), "A")
        yield* now(closing)
      })
    )
  )
})
