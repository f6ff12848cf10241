import { JsonRpc, type Multiplexer, type PoolError, WebSocketPool } from "effect-websocket-pool"
import * as Config from "#effect/Config"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Option from "#effect/Option"
import * as Schema from "#effect/Schema"
import type * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { steppingScheduler, withScheduler } from "#support/fibers"
import { metricsOf, recordSpans } from "#support/telemetry"
import { assert, describe, expectTypeOf, it } from "#support/vitest"
import { answerCloses, type HandSocket, makeTransport } from "../support/handTransport.js"
import { collect, notYet, now, settle, url } from "../support/memoryPool.js"
import { say, start } from "./support.js"

const Head = Schema.Struct({ number: Schema.Number })

const group = {
  balance: JsonRpc.method("eth_getBalance", { params: Schema.Array(Schema.String), result: Schema.String }),
  chain: JsonRpc.method("eth_chainId"),
  strict: JsonRpc.method("strict", { error: Schema.Struct({ hint: Schema.String }) }),
  hello: JsonRpc.notification("hello", { params: Schema.Array(Schema.Number) }),
  heads: JsonRpc.subscription({
    subscribe: "eth_subscribe",
    unsubscribe: "eth_unsubscribe",
    notification: "eth_subscription",
    params: Schema.Array(Schema.String),
    item: Head
  }),
  news: JsonRpc.incoming("news", { params: Schema.Struct({ text: Schema.String }) })
}

class Eth extends JsonRpc.Tag("Eth")<Eth>()(group) {}

const json = (fields: object): string => JSON.stringify({ jsonrpc: "2.0", ...fields })
const head = (subscription: unknown, number: unknown): string =>
  json({ method: "eth_subscription", params: { subscription, result: { number } } })

const sent = (socket: HandSocket | undefined): ReadonlyArray<unknown> =>
  (socket?.sent ?? []).map((message) => {
    const { jsonrpc, ...rest } = JSON.parse(String(message))
    assert.strictEqual(jsonrpc, "2.0")
    return rest
  })

const scenario = <A, E, RHandlers = never>(
  options: JsonRpc.Options<never, RHandlers>,
  f: (sockets: ReadonlyArray<HandSocket>, pool: WebSocketPool.WebSocketPool) => Effect.Effect<A, E, Scope.Scope | Eth>,
  poolOptions: Partial<WebSocketPool.Options> = {}
) => {
  const { layer, sockets } = makeTransport({ onClose: answerCloses })
  return Effect.flatMap(WebSocketPool.WebSocketPool, (pool) => f(sockets, pool)).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.provideMerge(
        Eth.layer(options),
        WebSocketPool.layer({ url, name: "main", pingInterval: "1 hour", ...poolOptions })
      ).pipe(Layer.provide(layer))
    )
  ) as Effect.Effect<A, unknown, Exclude<RHandlers, Eth>>
}

const failure = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<{ readonly _tag: string }> =>
  Effect.flip(now(fiber)) as Effect.Effect<never, never> as Effect.Effect<{ readonly _tag: string }>

const isParseError = (error: { readonly _tag: string }): void =>
  assert.include(["ParseError", "SchemaError"], error._tag, String(error))

describe("calls", () => {
  it.effect("go out numbered, and their answers are decoded", () =>
    scenario({}, (sockets) =>
      Effect.gen(function* () {
        const balance = yield* start(Eth.balance(["0x1", "latest"]))
        const chain = yield* start(Eth.chain())
        assert.deepStrictEqual(sent(sockets[0]), [
          { id: 1, method: "eth_getBalance", params: ["0x1", "latest"] },
          { id: 2, method: "eth_chainId" }
        ])
        yield* say(sockets[0], json({ id: 2, result: "0x5" }), json({ id: 1, result: "0xff" }))
        assert.strictEqual(yield* now(balance), "0xff")
        assert.strictEqual(yield* now(chain), "0x5")
      })
    )
  )

  it.effect("fail with JsonRpcError", () =>
    scenario({}, (sockets) =>
      Effect.gen(function* () {
        const call = yield* start(Eth.chain())
        yield* say(sockets[0], json({ id: 1, error: { code: -32000, message: "busy", data: { after: 3 } } }))
        const error = (yield* failure(call)) as JsonRpc.JsonRpcError
        assert.strictEqual(error._tag, "JsonRpcError")
        assert.deepInclude(error, { method: "eth_chainId", code: -32000, message: "busy", data: { after: 3 } })

        const strict = yield* start(Eth.strict())
        yield* say(sockets[0], json({ id: 2, error: { code: 1, message: "no", data: { hint: "later" } } }))
        assert.deepInclude((yield* failure(strict)) as JsonRpc.JsonRpcError, { data: { hint: "later" } })
      })
    )
  )

  it.effect("a notification is done when the socket has taken it", () =>
    scenario(
      {},
      (sockets) =>
        Effect.gen(function* () {
          yield* now(yield* start(Eth.hello([1, 2])))
          assert.deepStrictEqual(sent(sockets[0]), [{ method: "hello", params: [1, 2] }])
          sockets[0]!.bufferedAmount = 11
          const waiting = yield* start(Eth.hello([3]))
          notYet(waiting)
          sockets[0]!.bufferedAmount = 0
          sockets[0]!.events.onFlush()
          yield* settle
          yield* now(waiting)
        }),
      { sendBuffer: 10 }
    )
  )

  it.effect("with cancelMethod an interrupted call is cancelled by a notification", () =>
    scenario({ cancelMethod: "$/cancelRequest" }, (sockets) =>
      Effect.gen(function* () {
        yield* Fiber.interrupt(yield* start(Eth.chain()))
        yield* settle
        assert.deepStrictEqual(sent(sockets[0])[1], { method: "$/cancelRequest", params: { id: 1 } })
      })
    )
  )
})

describe("J1 what does not match its schema", () => {
  it.effect("is that call's ParseError, which shows no value; the connection goes on", () =>
    scenario({}, (sockets) =>
      Effect.gen(function* () {
        const first = yield* start(Eth.balance(["0x1"]))
        yield* say(sockets[0], json({ id: 1, result: { secret: "hunter2" } }))
        const error = yield* failure(first)
        isParseError(error)
        assert.notInclude(String(error), "hunter2")
        const params = yield* failure(yield* start(Eth.balance([7 as never])))
        isParseError(params)
        const strict = yield* start(Eth.strict())
        yield* say(sockets[0], json({ id: 2, error: { code: 1, message: "no", data: "hunter2" } }))
        isParseError(yield* failure(strict))
        assert.deepStrictEqual(sockets[0]!.closes, [])
      })
    )
  )

  it.effect("is that stream's ParseError, which is unsubscribed", () =>
    scenario({}, (sockets) =>
      Effect.gen(function* () {
        const run = yield* start(Stream.runDrain(Eth.heads(["newHeads"])))
        yield* say(sockets[0], json({ id: 1, result: "0xa" }), head("0xa", "hunter2"))
        const error = yield* failure(run)
        isParseError(error)
        assert.deepInclude(sent(sockets[0])[1] as object, { method: "eth_unsubscribe", params: ["0xa"] })
      })
    )
  )
})

describe("J2 ids and batches", () => {
  it.effect("batches are read in order, and an id may come back as text", () =>
    scenario({}, (sockets) =>
      Effect.gen(function* () {
        const calls = yield* Effect.forEach([1, 2], () => start(Eth.chain()))
        yield* say(sockets[0], `[${json({ id: "2", result: "b" })},${json({ id: 1, result: "a" })}]`)
        assert.deepStrictEqual([yield* now(calls[0]!), yield* now(calls[1]!)], ["a", "b"])
      })
    )
  )

  it.effect("an error with id null is Refused: it fails the one that is left, not those beside it", () =>
    scenario({}, (sockets) =>
      Effect.gen(function* () {
        const calls = yield* Effect.forEach([1, 2], () => start(Eth.chain()))
        yield* say(sockets[0], json({ id: null, error: { code: -32700, message: "Parse error" } }))
        notYet(calls[0]!)
        yield* say(sockets[0], json({ id: 1, result: "a" }))
        assert.strictEqual(yield* now(calls[0]!), "a")
        assert.deepInclude((yield* failure(calls[1]!)) as JsonRpc.JsonRpcError, { code: -32700 })
      })
    )
  )
})

describe("J3 subscriptions", () => {
  it.effect("lose nothing that follows the answer in the same batch, nor what comes before it", () =>
    scenario({}, (sockets) =>
      Effect.gen(function* () {
        const heads = yield* start(Stream.runCollect(Stream.take(Eth.heads(["newHeads"]), 4)))
        assert.deepStrictEqual(sent(sockets[0]), [{ id: 1, method: "eth_subscribe", params: ["newHeads"] }])
        yield* say(sockets[0], head("0xa", 1), head("0xother", 9))
        yield* say(sockets[0], `[${json({ id: 1, result: "0xa" })},${head("0xa", 2)}]`, head("0xa", 3))
        yield* say(sockets[0], head("0xa", 4))
        assert.deepStrictEqual(
          Array.from(yield* now(heads)).map(({ number }) => number),
          [1, 2, 3, 4]
        )
        const [, farewell] = sent(sockets[0]) as ReadonlyArray<{ readonly id: number; readonly method: string }>
        assert.deepInclude(farewell as object, { method: "eth_unsubscribe", params: ["0xa"] })
        yield* say(sockets[0], json({ id: farewell!.id, result: true }))
      })
    )
  )

  it.effect("two of one server get their own items", () =>
    scenario({}, (sockets) =>
      Effect.gen(function* () {
        const runs = yield* Effect.forEach(["a", "b"], (name) =>
          start(Stream.runCollect(Stream.take(Eth.heads([name]), 2)))
        )
        yield* say(sockets[0], head("0xb", 20), head("0xa", 10))
        yield* say(sockets[0], json({ id: 2, result: "0xb" }), json({ id: 1, result: "0xa" }))
        yield* say(sockets[0], head("0xa", 11), head("0xb", 21))
        const numbers = yield* Effect.forEach(runs, (run) =>
          Effect.map(now(run), (all) => Array.from(all).map(({ number }) => number))
        )
        assert.deepStrictEqual(numbers, [
          [10, 11],
          [20, 21]
        ])
      })
    )
  )

  // The first one starved, and its end was the end of the other, too.
  it.effect("two that the server calls the same both get its items, and the last to end unsubscribes", () =>
    scenario({ idleTimeout: "1 second" }, (sockets, pool) =>
      Effect.gen(function* () {
        const taken: Array<ReadonlyArray<number>> = [[], [], []]
        const runs = yield* Effect.forEach([0, 1, 2], (index) =>
          start(
            Stream.runForEach(Eth.heads(["ticker"]), ({ number }) =>
              Effect.sync(() => {
                taken[index] = [...taken[index]!, number]
              })
            )
          )
        )
        yield* say(sockets[0], json({ id: 1, result: "ticker" }), json({ id: 2, result: "ticker" }))
        yield* say(sockets[0], head("ticker", 1))
        assert.deepStrictEqual(taken, [[1], [1], []])
        // One that has ended before its answer came leaves the others alone, too.
        yield* Fiber.interrupt(runs[2]!)
        yield* say(sockets[0], json({ id: 3, result: "ticker" }))
        yield* Fiber.interrupt(runs[0]!)
        yield* say(sockets[0], head("ticker", 2))
        assert.deepStrictEqual(taken, [[1], [1, 2], []])
        assert.strictEqual(sent(sockets[0]).length, 3)

        yield* Fiber.interrupt(runs[1]!)
        yield* settle
        const farewell = sent(sockets[0])[3] as { readonly id: number }
        assert.deepInclude(farewell as object, { method: "eth_unsubscribe", params: ["ticker"] })
        yield* say(sockets[0], json({ id: farewell.id, result: true }))
        yield* TestClock.adjust("1 second")
        const { closed, idle } = yield* pool.stats
        assert.deepStrictEqual({ closed, idle }, { closed: 0, idle: 1 })
      })
    )
  )

  it.effect("one that is busy before its id is known takes no room from another", () =>
    scenario({ bufferSize: 2 }, (sockets) =>
      Effect.gen(function* () {
        const runs = yield* Effect.forEach(["a", "b"], (name) =>
          start(Stream.runCollect(Stream.take(Eth.heads([name]), 2)))
        )
        yield* say(sockets[0], head("0xb", 20), head("0xa", 10), head("0xa", 11), head("0xb", 21))
        yield* say(sockets[0], json({ id: 1, result: "0xa" }), json({ id: 2, result: "0xb" }))
        const numbers = yield* Effect.forEach(runs, (run) =>
          Effect.map(now(run), (all) => Array.from(all).map(({ number }) => number))
        )
        assert.deepStrictEqual(numbers, [
          [10, 11],
          [20, 21]
        ])
      })
    )
  )

  it.effect(
    "of one not known yet the latest are kept that its buffer has room for, and not of any number at once",
    () =>
      scenario({ bufferSize: 2 }, (sockets) =>
        Effect.gen(function* () {
          const runs = yield* Effect.forEach(["a", "b"], (name) => start(Stream.runHead(Eth.heads([name]))))
          const strangers = Array.from({ length: 1023 }, (_, n) => head(n, n))
          yield* say(sockets[0], head("0xb", 1), ...strangers, head("0xa", 1), head("0xa", 2), head("0xa", 3))
          yield* say(sockets[0], json({ id: 1, result: "0xa" }), json({ id: 2, result: "0xb" }))
          assert.deepStrictEqual(yield* now(runs[0]!), Option.some({ number: 2 }))
          notYet(runs[1]!)
        })
      )
  )

  it.effect(
    "one that ends before its id is known is unsubscribed when it is; its connection is fit for reuse then",
    () =>
      scenario({ idleTimeout: "1 second" }, (sockets, pool) =>
        Effect.gen(function* () {
          yield* Fiber.interrupt(yield* start(Stream.runDrain(Eth.heads(["newHeads"]))))
          yield* settle
          assert.strictEqual(sent(sockets[0]).length, 1)
          yield* say(sockets[0], json({ id: 1, result: "0xa" }))
          const [, farewell] = sent(sockets[0]) as ReadonlyArray<{ readonly id: number }>
          assert.deepInclude(farewell as object, { method: "eth_unsubscribe", params: ["0xa"] })
          yield* say(sockets[0], json({ id: farewell!.id, result: true }))
          yield* TestClock.adjust("1 second")
          assert.deepInclude(yield* pool.stats, { idle: 1, busy: 0 })
        })
      )
  )

  it.effect("one that the server refuses fails", () =>
    scenario({}, (sockets) =>
      Effect.gen(function* () {
        const run = yield* start(Stream.runDrain(Eth.heads(["nonsense"])))
        yield* say(sockets[0], json({ id: 1, error: { code: -32602, message: "no such subscription" } }))
        assert.deepInclude((yield* failure(run)) as JsonRpc.JsonRpcError, { code: -32602, method: "eth_subscribe" })
      })
    )
  )
})

describe("incoming", () => {
  it.effect("gives the server's notifications, decoded", () =>
    scenario({ minConnections: 1 }, (sockets) =>
      Effect.gen(function* () {
        yield* settle
        const news = yield* start(Stream.runCollect(Stream.take(Eth.news, 2)))
        yield* say(
          sockets[0],
          json({ method: "news", params: { text: "one" } }),
          json({ method: "other", params: {} }),
          json({ method: "news", params: { text: "two" } })
        )
        assert.deepStrictEqual(
          Array.from(yield* now(news)).map(({ text }) => text),
          ["one", "two"]
        )
      })
    )
  )
})

describe("J4 a request of the server", () => {
  const handlers = {
    add: (params: unknown) => Effect.succeed((params as ReadonlyArray<number>).reduce((a, b) => a + b, 0)),
    fail: () => Effect.fail({ code: 7, message: "as told", data: [1] }),
    die: () => Effect.die(new Error("a secret")),
    nothing: () => Effect.void
  }

  it.effect("always gets an answer", () =>
    scenario({ minConnections: 1, handlers }, (sockets) =>
      Effect.gen(function* () {
        yield* settle
        for (const [id, method] of ["add", "fail", "die", "nothing", "unknown", "toString"].entries()) {
          yield* say(sockets[0], json({ id: `s${id}`, method, params: [1, 2] }))
        }
        assert.deepStrictEqual(sent(sockets[0]), [
          { id: "s0", result: 3 },
          { id: "s1", error: { code: 7, message: "as told", data: [1] } },
          { id: "s2", error: { code: -32603, message: "Internal error" } },
          { id: "s3", result: null },
          { id: "s4", error: { code: -32601, message: "Method not found" } },
          { id: "s5", error: { code: -32601, message: "Method not found" } }
        ])
      })
    )
  )
})

describe("J5 what is no JSON-RPC", () => {
  for (const text of [
    "nonsense",
    "[]",
    "1",
    '{"id":1}',
    '{"params":[]}',
    '{"method":5}',
    "null",
    '{"id":null,"result":1}'
  ]) {
    it.effect(`ends the connection with 1002, Local: ${text}`, () =>
      scenario({}, (sockets, pool) =>
        Effect.gen(function* () {
          const events = yield* collect(pool)
          const call = yield* start(Eth.chain())
          yield* say(sockets[0], text)
          const error = (yield* failure(call)) as PoolError.ConnectionClosedError
          assert.deepInclude(error, { _tag: "ConnectionClosedError", code: 1002, initiator: "Local" })
          yield* settle
          const closed = events.find(({ _tag }) => _tag === "ConnectionClosed")
          assert.deepInclude(closed, { reason: "Protocol" })
        })
      )
    )
  }

  it.effect("a binary frame of UTF-8 is read", () =>
    scenario({}, (sockets) =>
      Effect.gen(function* () {
        const call = yield* start(Eth.chain())
        sockets[0]!.message(new TextEncoder().encode(json({ id: 1, result: "ü" })))
        yield* settle
        assert.strictEqual(yield* now(call), "ü")
      })
    )
  )
})

describe("J6 spans and metrics", () => {
  it.effect("count no call as under way that was interrupted at any step", () =>
    scenario(
      {},
      () =>
        Effect.gen(function* () {
          for (let at = 1; at <= 80; at++) {
            let step = 0
            const scheduler = steppingScheduler((fiber) => {
              step += 1
              if (step === at) fiber.interruptNow()
              return step === at
            })
            yield* Fiber.interrupt(yield* start(withScheduler(Eth.chain(), scheduler)))
            assert.oneOf(metricsOf("swept")["rpc.client.in_flight{rpc.system=jsonrpc}"], [undefined, 0], `step ${at}`)
          }
        }),
      { name: "swept" }
    )
  )

  it.effect("time calls by method and outcome, and count those under way, unmatched and lagged", () =>
    scenario(
      { bufferSize: 1, minConnections: 1 },
      (sockets) =>
        Effect.gen(function* () {
          yield* start(Stream.runForEach(Eth.news, () => Effect.never))
          const calls = yield* Effect.forEach([1, 2], () => start(Eth.chain()))
          assert.deepInclude(metricsOf("measured"), { "rpc.client.in_flight{rpc.system=jsonrpc}": 2 })
          yield* TestClock.adjust("2 seconds")
          yield* say(sockets[0], json({ id: 1, result: 1 }), json({ id: 9, result: 1 }))
          yield* say(sockets[0], json({ id: 2, error: { code: 1, message: "no" } }))
          for (let n = 0; n < 3; n++) yield* say(sockets[0], json({ method: "news", params: { text: "x" } }))
          yield* now(calls[0]!)
          yield* failure(calls[1]!)
          const chain = "rpc.client.duration{rpc.system=jsonrpc,rpc.method=eth_chainId,outcome="
          assert.deepInclude(metricsOf("measured"), {
            "rpc.client.in_flight{rpc.system=jsonrpc}": 0,
            "rpc.client.unmatched{rpc.system=jsonrpc}": 1,
            "rpc.client.lagged{rpc.system=jsonrpc}": 1,
            [`${chain}success}:count`]: 1,
            [`${chain}success}:sum`]: 2,
            [`${chain}error}:count`]: 1
          })
        }),
      { name: "measured" }
    )
  )

  it.effect("count as unmatched what answers the end of no subscription, and not what answers one", () =>
    scenario(
      {},
      (sockets) =>
        Effect.gen(function* () {
          const run = yield* start(Stream.runDrain(Eth.heads(["a"])))
          yield* say(sockets[0], json({ id: 1, result: "0xa" }))
          yield* Fiber.interrupt(run)
          yield* settle
          const [, farewell] = sent(sockets[0]) as ReadonlyArray<{ readonly id: number }>
          const unmatched = () => metricsOf("farewells")["rpc.client.unmatched{rpc.system=jsonrpc}"]
          yield* say(sockets[0], json({ id: farewell!.id, result: true }))
          assert.oneOf(unmatched(), [undefined, 0])
          yield* say(sockets[0], json({ id: farewell!.id, result: true }), json({ id: farewell!.id + 1, result: true }))
          assert.strictEqual(unmatched(), 2)
        }),
      { name: "farewells" }
    )
  )

  it.effect("time the request of a subscription, by how it ends, until its id is known", () =>
    scenario(
      {},
      (sockets) =>
        Effect.gen(function* () {
          const inFlight = "rpc.client.in_flight{rpc.system=jsonrpc}"
          const of = (outcome: string, what: string) =>
            `rpc.client.duration{rpc.system=jsonrpc,rpc.method=eth_subscribe,outcome=${outcome}}:${what}`
          const runs = yield* Effect.forEach(["a", "b", "c"], (name) => start(Stream.runDrain(Eth.heads([name]))))
          assert.deepInclude(metricsOf("subscribed"), { [inFlight]: 3 })
          yield* TestClock.adjust("2 seconds")
          yield* say(sockets[0], json({ id: 1, result: "0xa" }), head("0xa", 1))
          assert.deepInclude(metricsOf("subscribed"), { [inFlight]: 2, [of("success", "sum")]: 2 })
          yield* say(sockets[0], json({ id: 2, error: { code: 1, message: "no" } }))
          yield* failure(runs[1]!)
          yield* Fiber.interrupt(runs[2]!)
          // It is timed once, however long it goes on.
          yield* TestClock.adjust("10 seconds")
          yield* Fiber.interrupt(runs[0]!)
          yield* failure(yield* start(Stream.runDrain(Eth.heads([7 as never]))))
          const lost = yield* start(Stream.runDrain(Eth.heads(["d"])))
          sockets[0]!.lose()
          yield* settle
          yield* failure(lost)
          assert.deepInclude(metricsOf("subscribed"), {
            [inFlight]: 0,
            [of("success", "count")]: 1,
            [of("success", "sum")]: 2,
            [of("error", "count")]: 1,
            [of("interrupted", "count")]: 1,
            [of("failure", "count")]: 2
          })
        }),
      { name: "subscribed" }
    )
  )

  it.effect("calls end as interrupted or as failure, too, and what was lost is counted", () =>
    scenario(
      {},
      (sockets) =>
        Effect.gen(function* () {
          const calls = yield* Effect.forEach([1, 2], () => start(Eth.chain()))
          yield* Fiber.interrupt(calls[0]!)
          sockets[0]!.lose()
          yield* settle
          yield* failure(calls[1]!)
          const chain = "rpc.client.duration{rpc.system=jsonrpc,rpc.method=eth_chainId,outcome="
          assert.deepInclude(metricsOf("ended"), {
            "rpc.client.in_flight{rpc.system=jsonrpc}": 0,
            [`${chain}interrupted}:count`]: 1,
            [`${chain}failure}:count`]: 1
          })
        }),
      { name: "ended" }
    )
  )

  it.effect("subscriptions and notifications have spans, too", () => {
    const { spans, tracer } = recordSpans()
    return scenario({}, (sockets) =>
      Effect.gen(function* () {
        const run = yield* start(Stream.runDrain(Stream.take(Eth.heads(["a"]), 1)))
        yield* say(sockets[0], json({ id: 1, result: "0xa" }), head("0xa", 1))
        yield* now(run)
        yield* now(yield* start(Eth.hello([1])))
        for (const method of ["eth_subscribe", "hello"]) {
          const span = spans.find(({ name }) => name === `JsonRpc/${method}`)
          assert.deepInclude(Object.fromEntries(span?.attributes ?? []), {
            "rpc.system": "jsonrpc",
            "rpc.method": method,
            "rpc.jsonrpc.version": "2.0"
          })
        }
      })
    ).pipe(Effect.withTracer(tracer))
  })

  it.effect("each call has a span with the attributes of OpenTelemetry", () => {
    const { spans, tracer } = recordSpans()
    return scenario({}, (sockets) =>
      Effect.gen(function* () {
        const call = yield* start(Eth.chain())
        yield* say(sockets[0], json({ id: 1, error: { code: -32000, message: "busy" } }))
        yield* failure(call)
        const span = spans.find(({ name }) => name === "JsonRpc/eth_chainId")
        assert.deepInclude(Object.fromEntries(span?.attributes ?? []), {
          "rpc.system": "jsonrpc",
          "rpc.method": "eth_chainId",
          "rpc.jsonrpc.error_code": -32000
        })
      })
    ).pipe(Effect.withTracer(tracer))
  })

  it.effect("where nobody sees a call's span, the span around it stays as it is", () =>
    scenario({}, (sockets) =>
      Effect.gen(function* () {
        const span = yield* Effect.currentSpan
        const call = yield* start(Eth.chain())
        yield* say(sockets[0], json({ id: 1, error: { code: -32000, message: "busy" } }))
        yield* failure(call)
        assert.deepEqual(Array.from(span.attributes), [])
      }).pipe(Effect.withSpan("mine"))
    )
  )
})

describe("options and types", () => {
  it.effect("names every bad option", () =>
    Effect.gen(function* () {
      const bad = { cancelMethod: 5, concurrency: -1, handlers: { x: 1 }, codec: () => {} }
      const message = String(yield* Effect.flip(scenario(bad as never, () => Effect.void)))
      for (const name of ["cancelMethod", "concurrency", "handlers", "codec"]) assert.include(message, name)
    })
  )

  it.effect("layerConfig reads its options", () => {
    const { layer } = makeTransport({ onClose: answerCloses })
    const pool = WebSocketPool.layer({ url }).pipe(Layer.provide(layer))
    const bad = Eth.layerConfig({ concurrency: Config.succeed(-3), bufferSize: undefined }).pipe(Layer.provide(pool))
    return Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(bad)))
      assert.include(String(error), "concurrency")
      assert.include(String(error), 'JsonRpc "Eth": ')
    })
  })

  it("has the types that the contract names", () => {
    type Failure = JsonRpc.JsonRpcError | Multiplexer.RequestError
    expectTypeOf(Eth.balance).returns.toEqualTypeOf<Effect.Effect<string, Failure, Eth>>()
    expectTypeOf(Eth.balance).parameters.toEqualTypeOf<[params: ReadonlyArray<string>]>()
    expectTypeOf(Eth.chain()).toEqualTypeOf<Effect.Effect<unknown, Failure, Eth>>()
    expectTypeOf(Eth.hello).returns.toEqualTypeOf<Effect.Effect<void, Multiplexer.RequestError, Eth>>()
    expectTypeOf(Eth.heads).returns.toEqualTypeOf<
      Stream.Stream<{ readonly number: number }, Failure | PoolError.LaggedError, Eth>
    >()
    // Within the group what a constructor leaves open has its default, as outside of it.
    class Inline extends JsonRpc.Tag("Inline")<Inline>()({
      chain: JsonRpc.method("eth_chainId"),
      balance: JsonRpc.method("eth_getBalance", { params: Schema.Array(Schema.String), result: Schema.String }),
      hello: JsonRpc.notification("hello"),
      heads: JsonRpc.subscription({ subscribe: "a", unsubscribe: "b", notification: "c", item: Head }),
      news: JsonRpc.incoming("news")
    }) {}
    expectTypeOf(Inline.chain()).toEqualTypeOf<Effect.Effect<unknown, Failure, Inline>>()
    expectTypeOf(Inline.balance).returns.toEqualTypeOf<Effect.Effect<string, Failure, Inline>>()
    expectTypeOf(Inline.hello()).toEqualTypeOf<Effect.Effect<void, Multiplexer.RequestError, Inline>>()
    expectTypeOf(Inline.heads()).toEqualTypeOf<
      Stream.Stream<{ readonly number: number }, Failure | PoolError.LaggedError, Inline>
    >()
    expectTypeOf(Inline.news).toExtend<Stream.Stream<unknown, unknown, Inline>>()
    expectTypeOf(Eth.layer()).toExtend<Layer.Layer<Eth, Config.ConfigError, WebSocketPool.WebSocketPool>>()
    // Written in place, members are inferred as they are by themselves.
    class InPlace extends JsonRpc.Tag("InPlace")<InPlace>()({
      add: JsonRpc.method("add", { params: Schema.Array(Schema.Number), result: Schema.Number }),
      chain: JsonRpc.method("chain"),
      hello: JsonRpc.notification("hello")
    }) {}
    expectTypeOf(InPlace.add([1])).toEqualTypeOf<Effect.Effect<number, Failure, InPlace>>()
    expectTypeOf(InPlace.chain()).toEqualTypeOf<Effect.Effect<unknown, Failure, InPlace>>()
    expectTypeOf(InPlace.hello()).toEqualTypeOf<Effect.Effect<void, Multiplexer.RequestError, InPlace>>()
    const never = () => {
      // @ts-expect-error a tag has a layer itself
      JsonRpc.Tag("Bad")<object>()({ layer: JsonRpc.method("layer") })
      // @ts-expect-error a tag has a key itself
      JsonRpc.Tag("Bad")<object>()({ key: JsonRpc.method("key") })
    }
    assert.isFunction(never)
  })
})
