import { JsonRpc, type Multiplexer, type PoolError, WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Schema from "#effect/Schema"
import * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, it } from "#support/vitest"
import { answerCloses, type HandSocket, makeTransport } from "../support/handTransport.js"
import { expectTag, notYet, now, settle, url } from "../support/memoryPool.js"
import { cancelling, expectSent, mute, say, scenario, start } from "./support.js"

describe("a pinned connection", () => {
  it.effect("was never given back if nothing was asked on it", () =>
    scenario({}, {}, (lines, _, pool) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        yield* Scope.provide(lines.pinned, scope)
        assert.deepInclude(yield* pool.stats, { busy: 1, idle: 0 })
        yield* Scope.close(scope, Exit.void)
        yield* settle
        assert.deepInclude(yield* pool.stats, { busy: 0, idle: 1 })
      })
    )
  )

  it.effect("did not notice before its first request that the pool wants it back", () =>
    scenario({}, {}, (lines, sockets, pool) =>
      Effect.gen(function* () {
        const pinned = yield* lines.pinned
        yield* pool.refresh
        yield* settle
        assert.strictEqual((yield* pool.stats).busy, 0)
        const call = yield* start(pinned.request("a"))
        expectTag((yield* Effect.flip(now(call))) as Multiplexer.RequestError, "ConnectionClosedError")
        expectSent(sockets[0])
      })
    )
  )

  it.effect("was written on after it had gone to another holder, if its codec could not be made at once", () =>
    Effect.suspend(() => {
      let isBroken = true
      const codec = (): Multiplexer.Codec<string, string, string> => {
        if (isBroken) throw new Error("not yet")
        return cancelling()
      }
      return scenario({ codec }, { maxConnections: 1 }, (lines, sockets, pool) =>
        Effect.gen(function* () {
          const pinned = yield* lines.pinned
          yield* start(Effect.ignore(pinned.request("a")))
          isBroken = false
          yield* pool.get
          const call = yield* start(pinned.request("b"))
          expectSent(sockets[0])
          const error = (yield* Effect.flip(now(call))) as { readonly _tag: string }
          assert.include(["ParseError", "SchemaError"], error._tag)
        })
      )
    })
  )
})

describe("a server that ends whatever it accepts", () => {
  it.effect("was connected to without end for a connection that targetUtilization calls for", () => {
    let isHostile = false
    return scenario(
      { concurrency: 2, targetUtilization: 0.5 },
      {},
      (lines, sockets) =>
        Effect.gen(function* () {
          yield* start(lines.request("a"))
          isHostile = true
          // One has a place, and calls for a second connection.
          yield* start(lines.request("b"))
          assert.strictEqual(sockets.length, 2)
          yield* TestClock.adjust("1 second")
          assert.isAtMost(sockets.length, 6)
          yield* TestClock.adjust("1 minute")
          assert.isAtMost(sockets.length, 20)
          isHostile = false
          yield* TestClock.adjust("20 seconds")
          assert.strictEqual((yield* lines.stats).connections, 2)
        }),
      { onOpened: (socket) => (isHostile ? socket.lose(4000) : undefined) }
    )
  })
})

describe("credit that the socket has not taken", () => {
  it.effect("kept a connection full of nothing but abandoned requests", () =>
    scenario(
      { codec: () => ({ ...mute(), ack: (id) => `${id} ack` }), concurrency: 1, targetUtilization: 1 },
      { sendBuffer: 10 },
      (lines, sockets) =>
        Effect.gen(function* () {
          const items = yield* start(Stream.runCollect(Stream.take(lines.stream("s"), 1)))
          sockets[0]!.bufferedAmount = 11
          yield* say(sockets[0], "1 + one")
          yield* now(items)
          assert.deepStrictEqual(sockets[0]!.closes, [1000])
        })
    )
  )
})

describe("onNotice", () => {
  it.effect("that gives no effect stopped those behind it, on Effect 4", () =>
    Effect.suspend(() => {
      const seen: Array<unknown> = []
      const onNotice = ((value: unknown) => {
        seen.push(value)
      }) as never
      return scenario({ onNotice }, {}, (lines, sockets) =>
        Effect.gen(function* () {
          yield* start(lines.request("a"))
          yield* say(sockets[0], "notice a")
          yield* say(sockets[0], "notice b")
          assert.deepStrictEqual(seen, ["a", "b"])
        })
      )
    })
  )
})

const json = (fields: object): string => JSON.stringify({ jsonrpc: "2.0", ...fields })

const members = {
  call: JsonRpc.method("call"),
  heads: JsonRpc.subscription({ subscribe: "sub", unsubscribe: "unsub", notification: "note", item: Schema.Number }),
  notes: JsonRpc.incoming("note"),
  news: JsonRpc.incoming("news", { params: Schema.Number })
}

class Api extends JsonRpc.Tag("Api")<Api>()(members) {}

const rpc = <A, E>(
  options: JsonRpc.Options,
  f: (api: JsonRpc.Client<typeof members>, sockets: ReadonlyArray<HandSocket>) => Effect.Effect<A, E, Scope.Scope>,
  poolOptions: Partial<WebSocketPool.Options> = {}
): Effect.Effect<A, unknown> => {
  const { layer, sockets } = makeTransport({ onClose: answerCloses })
  return Effect.flatMap(Api, (api) => f(api, sockets)).pipe(
    Effect.scoped,
    Effect.provide(
      Api.layer(options).pipe(
        Layer.provide(WebSocketPool.layer({ url, name: "main", pingInterval: "1 hour", ...poolOptions })),
        Layer.provide(layer)
      )
    )
  )
}

/** A client, what ends its scope before that of its pool, and its pool. */
const rpcUntil = <A, E>(
  f: (
    api: JsonRpc.Client<typeof members>,
    sockets: ReadonlyArray<HandSocket>,
    close: Effect.Effect<void>,
    pool: WebSocketPool.WebSocketPool
  ) => Effect.Effect<A, E, Scope.Scope>
): Effect.Effect<A, unknown> => {
  const { layer, sockets } = makeTransport({ onClose: answerCloses })
  return Effect.gen(function* () {
    const scope = yield* Scope.make()
    const api = yield* Scope.provide(JsonRpc.make(members), scope)
    return yield* f(api, sockets, Scope.close(scope, Exit.void), yield* WebSocketPool.WebSocketPool)
  }).pipe(
    Effect.scoped,
    Effect.provide(WebSocketPool.layer({ url, name: "main", pingInterval: "1 hour" }).pipe(Layer.provide(layer)))
  )
}

describe("incoming notifications", () => {
  it.effect("went on behind a gap, without LaggedError, while their reader was slow", () =>
    rpc({ bufferSize: 2 }, (api, sockets) =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        const gates: Array<() => void> = []
        const read = (news: unknown) =>
          Effect.callback<void>((resume) => {
            seen.push(news as number)
            gates.push(() => resume(Effect.void))
          })
        const reader = yield* start(Stream.runForEach(api.news, read))
        yield* start(api.call())
        const tell = (news: number) => say(sockets[0], json({ method: "news", params: news }))
        for (const news of [1, 2, 3, 4]) yield* tell(news)
        for (const news of [5, 6, 7]) {
          gates.shift()?.()
          yield* settle
          yield* tell(news)
        }
        assert.deepStrictEqual(seen, [1, 2, 3])
        expectTag((yield* Effect.flip(now(reader))) as PoolError.LaggedError, "LaggedError")
      })
    )
  )

  it.effect("did not end with their client: whoever read them waited for ever", () =>
    rpcUntil((api, sockets, close) =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        const reader = yield* start(Stream.runForEach(api.news, (news) => Effect.sync(() => seen.push(news))))
        const stuck = yield* start(Stream.runForEach(api.notes, () => Effect.never))
        const call = yield* start(api.call())
        const closing = yield* start(close)
        // What comes until the last request has ended is theirs, too.
        yield* say(sockets[0], json({ method: "news", params: 1 }), json({ method: "note", params: 1 }))
        notYet(reader)
        yield* say(sockets[0], json({ id: 1, result: 1 }), json({ method: "news", params: 2 }))
        yield* now(call)
        yield* now(closing)
        yield* now(reader)
        notYet(stuck)
        assert.deepStrictEqual(seen, [1])

        yield* now(yield* start(Stream.runDrain(api.news)))
      })
    )
  )

  it.effect("did not end with the pool of their client: whoever read them waited for ever", () =>
    rpcUntil((api, sockets, _, pool) =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        const reader = yield* start(Stream.runForEach(api.news, (news) => Effect.sync(() => seen.push(news))))
        const call = yield* start(api.call())
        const closing = yield* start(pool.close)
        // What comes until the last request has ended is for them, too.
        yield* say(sockets[0], json({ method: "news", params: 1 }))
        notYet(reader)
        yield* say(sockets[0], json({ id: 1, result: 1 }))
        yield* now(call)
        yield* now(closing)
        yield* now(reader)
        assert.deepStrictEqual(seen, [1])

        yield* now(yield* start(Stream.runDrain(api.news)))
      })
    )
  )

  it.effect("were taken for those of a subscription that was never sent", () =>
    rpc(
      {},
      (api, sockets) =>
        Effect.gen(function* () {
          const call = yield* start(api.call())
          yield* say(sockets[0], json({ id: 1, result: 1 }))
          yield* now(call)
          const notes: Array<unknown> = []
          yield* start(Stream.runForEach(api.notes, (note) => Effect.sync(() => notes.push(note))))
          sockets[0]!.bufferedAmount = 11
          const heads = yield* start(Stream.runDrain(api.heads()))
          yield* Fiber.interrupt(heads)
          sockets[0]!.bufferedAmount = 0
          sockets[0]!.events.onFlush()
          const params = { subscription: "x", result: 1 }
          yield* say(sockets[0], json({ method: "note", params }))
          assert.deepStrictEqual(notes, [params])
          assert.strictEqual(sockets[0]!.sent.length, 1)
        }),
      { sendBuffer: 10, maxConnections: 1 }
    )
  )
})

describe("a call of the server", () => {
  const failed = { error: { code: -32603, message: "Internal error" } }
  const cases: Record<string, readonly [handler: () => unknown, answer: object]> = {
    "a result that JSON has no text for": [() => Effect.succeed(1n), failed],
    "a result that JSON leaves out": [() => Effect.succeed(() => 1), { result: null }],
    "data that JSON has no text for": [() => Effect.fail({ code: 1, message: "no", data: 1n }), failed],
    "no effect, on Effect 4": [() => 1, failed],
    "a defect, thrown at once": [
      () => {
        throw new Error("a bug")
      },
      failed
    ],
    "an interruption of itself": [() => Effect.interrupt, failed],
    "a failure that is nothing": [() => Effect.fail(undefined), failed],
    "a promise that rejects, on Effect 4": [() => Promise.reject(new Error("unhandled")), failed]
  }
  for (const [what, [handler, answer]] of Object.entries(cases)) {
    it.effect(`got no answer if its handler gave ${what}`, () =>
      rpc({ handlers: { ask: handler as () => Effect.Effect<unknown> } }, (api, sockets) =>
        Effect.gen(function* () {
          yield* start(api.call())
          yield* say(sockets[0], json({ id: "s1", method: "ask" }))
          yield* settle
          assert.deepStrictEqual(
            sockets[0]!.sent.slice(1).map((text) => JSON.parse(String(text))),
            [{ jsonrpc: "2.0", id: "s1", ...answer }]
          )
        })
      )
    )
  }

  it.effect("was read and its answer kept, without end, while the server read nothing", () =>
    rpc(
      {},
      (api, sockets) =>
        Effect.gen(function* () {
          const call = yield* start(api.call())
          const socket = sockets[0]!
          socket.bufferedAmount = 11
          const asked = 3_000
          yield* say(socket, ...Array.from({ length: asked }, (_, id) => json({ id: `s${id}`, method: "ask" })))
          assert.isTrue(socket.isPaused)
          socket.bufferedAmount = 0
          socket.events.onFlush()
          yield* settle
          yield* say(socket, json({ id: 1, result: "late" }))
          assert.strictEqual(yield* now(call), "late")
          assert.strictEqual(socket.sent.length, 1 + asked)
          assert.isFalse(socket.isPaused)
        }),
      { sendBuffer: 10, receiveBuffer: 100_000 }
    )
  )
})
