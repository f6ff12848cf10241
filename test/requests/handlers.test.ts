import { JsonRpc, WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, it } from "#support/vitest"
import type { HandSocket } from "../support/handTransport.js"
import { notYet, now, settle } from "../support/memoryPool.js"
import { type Api, asks, json, members, rpc, said } from "./rpcSupport.js"
import { say, start } from "./support.js"

/** A handler that takes so long, and what has become of it. */
const slow = (millis: number) => {
  const seen: Array<string> = []
  const handlers = {
    ask: (params: unknown) =>
      Effect.onExit(
        Effect.andThen(
          Effect.sync(() => seen.push(`${params} begins`)),
          Effect.as(Effect.sleep(millis), `answer ${params}`)
        ),
        (exit) => Effect.sync(() => seen.push(`${params} ${Exit.isSuccess(exit) ? "ends" : "was interrupted"}`))
      )
  }
  return { handlers, seen }
}

const answer = (id: string, params = "x") => ({ id, result: `answer ${params}` })

/** Opens a connection: a call that is answered. */
const opened = (api: Api, sockets: ReadonlyArray<HandSocket>, index = 0) =>
  Effect.gen(function* () {
    const call = yield* start(api.call())
    yield* say(sockets[index], json({ id: 1, result: 1 }))
    yield* now(call)
    return sockets[index]!
  })

describe("J4 a handler that takes long", () => {
  it.effect("keeps its connection past idleTimeout, which counts from its answer", () => {
    const { handlers } = slow(5_000)
    return rpc({ handlers, idleTimeout: "1 second" }, {}, (api, sockets, pool) =>
      Effect.gen(function* () {
        const socket = yield* opened(api, sockets)
        yield* say(socket, asks("s1", "ask", "x"))
        yield* TestClock.adjust("4999 millis")
        assert.deepInclude(yield* pool.stats, { busy: 1, idle: 0 })
        assert.strictEqual(socket.sent.length, 1)
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(said(socket)[1], answer("s1"))
        yield* TestClock.adjust("999 millis")
        assert.deepInclude(yield* pool.stats, { busy: 1, idle: 0 })
        yield* TestClock.adjust("1 millis")
        assert.deepInclude(yield* pool.stats, { busy: 0, idle: 1 })
        assert.deepStrictEqual(socket.closes, [])
      })
    )
  })

  it.effect("takes no place of a call, and calls go on over its connection", () => {
    const { handlers } = slow(60_000)
    return rpc({ handlers, concurrency: 1, targetUtilization: 1, idleTimeout: "1 second" }, {}, (api, sockets) =>
      Effect.gen(function* () {
        const socket = yield* opened(api, sockets)
        yield* say(socket, asks("s1"))
        yield* TestClock.adjust("10 seconds")
        const call = yield* start(api.call())
        assert.strictEqual(sockets.length, 1)
        yield* say(socket, json({ id: 2, result: 2 }))
        assert.strictEqual(yield* now(call), 2)
        socket.lose()
      })
    )
  })

  it.effect("with idleTimeout 0 keeps its connection, too", () => {
    const { handlers } = slow(5_000)
    return rpc({ handlers, idleTimeout: 0 }, {}, (api, sockets, pool) =>
      Effect.gen(function* () {
        const call = yield* start(api.call())
        yield* say(sockets[0], asks("s1", "ask", "x"), json({ id: 1, result: 1 }))
        yield* now(call)
        yield* TestClock.adjust("4999 millis")
        assert.strictEqual((yield* pool.stats).busy, 1)
        yield* TestClock.adjust("2 millis")
        assert.deepStrictEqual(said(sockets[0])[1], answer("s1"))
        assert.deepInclude(yield* pool.stats, { busy: 0, idle: 1 })
      })
    )
  })

  it.effect("is waited for by a connection that retires, which then is closed", () => {
    const { handlers, seen } = slow(5_000)
    return rpc({ handlers }, {}, (api, sockets, pool) =>
      Effect.gen(function* () {
        const socket = yield* opened(api, sockets)
        yield* say(socket, asks("s1", "ask", "x"))
        yield* pool.refresh
        yield* TestClock.adjust("4999 millis")
        assert.deepStrictEqual(socket.closes, [])
        // It gets no new call.
        yield* start(api.call())
        assert.strictEqual(sockets.length, 2)
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(said(socket).slice(1), [answer("s1")])
        assert.deepStrictEqual(socket.closes, [1000])
        assert.deepStrictEqual(seen, ["x begins", "x ends"])
      })
    )
  })

  it.effect("is waited for no longer than retireTimeout", () => {
    const { handlers, seen } = slow(60_000)
    return rpc({ handlers, retireTimeout: "5 seconds" }, {}, (api, sockets, pool) =>
      Effect.gen(function* () {
        const socket = yield* opened(api, sockets)
        yield* say(socket, asks("s1", "ask", "x"))
        yield* pool.refresh
        yield* TestClock.adjust("4999 millis")
        assert.deepStrictEqual(socket.closes, [])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(socket.closes, [1000])
        assert.deepStrictEqual(seen, ["x begins", "x was interrupted"])
        assert.strictEqual(socket.sent.length, 1)
      })
    )
  })

  it.effect("is waited for by a connection whose last call has failed as Refused", () => {
    const { handlers } = slow(5_000)
    return rpc({ handlers }, {}, (api, sockets) =>
      Effect.gen(function* () {
        const call = yield* start(api.call())
        const socket = sockets[0]!
        yield* say(socket, asks("s1", "ask", "x"), json({ id: null, error: { code: -32700, message: "what?" } }))
        assert.deepInclude(yield* Effect.flip(now(call)), { code: -32700 })
        yield* TestClock.adjust("4999 millis")
        assert.deepStrictEqual(socket.closes, [])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(said(socket)[1], answer("s1"))
        assert.deepStrictEqual(socket.closes, [1000])
      })
    )
  })

  it.effect("several are answered each at its time, and the last one ends the wait", () => {
    const handlers = { ask: (millis: unknown) => Effect.as(Effect.sleep(millis as number), millis) }
    return rpc({ handlers }, {}, (api, sockets, pool) =>
      Effect.gen(function* () {
        const socket = yield* opened(api, sockets)
        yield* say(socket, asks("a", "ask", 3_000), asks("b", "ask", 1_000), asks("c", "ask", 2_000))
        yield* pool.refresh
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(said(socket).slice(1), [{ id: "b", result: 1_000 }])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(socket.closes, [])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(said(socket).slice(2), [
          { id: "c", result: 2_000 },
          { id: "a", result: 3_000 }
        ])
        assert.deepStrictEqual(socket.closes, [1000])
      })
    )
  })

  it.effect("is interrupted when its connection is lost, and its answer dropped", () => {
    const { handlers, seen } = slow(5_000)
    return rpc({ handlers }, {}, (api, sockets, pool) =>
      Effect.gen(function* () {
        const socket = yield* opened(api, sockets)
        yield* say(socket, asks("s1", "ask", "x"))
        socket.lose()
        yield* settle
        assert.deepStrictEqual(seen, ["x begins", "x was interrupted"])
        assert.strictEqual((yield* pool.stats).total, 0)
        const other = yield* opened(api, sockets, 1)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(other.sent.length, 1)
      })
    )
  })

  it.effect("is interrupted when its connection is lost while it retires", () => {
    const { handlers, seen } = slow(5_000)
    return rpc({ handlers }, { maxConnections: 1 }, (api, sockets, pool) =>
      Effect.gen(function* () {
        const socket = yield* opened(api, sockets)
        yield* say(socket, asks("s1", "ask", "x"))
        yield* pool.refresh
        yield* settle
        const call = yield* start(api.call())
        socket.lose()
        yield* settle
        assert.deepStrictEqual(seen, ["x begins", "x was interrupted"])
        // Its place is free.
        yield* say(sockets[1], json({ id: 1, result: 1 }))
        yield* now(call)
      })
    )
  })

  it.effect("has shutdownTimeout when its client closes", () => {
    const { handlers, seen } = slow(3_000)
    return rpc({}, { shutdownTimeout: "5 seconds" }, (_, sockets, pool) =>
      Effect.gen(function* () {
        const { closing, socket } = yield* closingWith(handlers, sockets, pool)
        yield* TestClock.adjust("2999 millis")
        notYet(closing)
        yield* TestClock.adjust("1 millis")
        yield* now(closing)
        assert.deepStrictEqual(said(socket)[1], answer("s1"))
        assert.deepStrictEqual(seen, ["x begins", "x ends"])
      })
    )
  })

  it.effect("is interrupted at shutdownTimeout, and its connection is not reused", () => {
    const { handlers, seen } = slow(60_000)
    return rpc({}, { shutdownTimeout: "5 seconds" }, (_, sockets, pool) =>
      Effect.gen(function* () {
        const { closing, socket } = yield* closingWith(handlers, sockets, pool)
        yield* TestClock.adjust("4999 millis")
        notYet(closing)
        yield* TestClock.adjust("1 millis")
        yield* now(closing)
        assert.deepStrictEqual(seen, ["x begins", "x was interrupted"])
        assert.deepStrictEqual(socket.closes, [1000])
        assert.deepInclude(yield* pool.stats, { busy: 0, idle: 0 })
      })
    )
  })

  it.effect("has shutdownTimeout when the pool closes", () => {
    const { handlers } = slow(3_000)
    return rpc({ handlers }, { shutdownTimeout: "5 seconds" }, (api, sockets, pool) =>
      Effect.gen(function* () {
        const socket = yield* opened(api, sockets)
        yield* say(socket, asks("s1", "ask", "x"))
        const closing = yield* start(pool.close)
        yield* TestClock.adjust("2999 millis")
        notYet(closing)
        yield* TestClock.adjust("1 millis")
        yield* now(closing)
        assert.deepStrictEqual(said(socket)[1], answer("s1"))
      })
    )
  })

  it.effect("an answer that the socket has not taken yet keeps the connection, too", () =>
    rpc({ handlers: { ask: () => Effect.succeed(1) } }, { sendBuffer: 10 }, (api, sockets, pool) =>
      Effect.gen(function* () {
        const socket = yield* opened(api, sockets)
        socket.bufferedAmount = 11
        yield* say(socket, asks("s1"))
        yield* pool.refresh
        yield* settle
        assert.deepStrictEqual(socket.closes, [])
        socket.bufferedAmount = 0
        socket.events.onFlush()
        yield* settle
        assert.deepStrictEqual(said(socket)[1], { id: "s1", result: 1 })
        assert.deepStrictEqual(socket.closes, [1000])
      })
    )
  )
})

/** A client of its own, with a handler that runs while it closes. */
const closingWith = (
  handlers: JsonRpc.Handlers<never>,
  sockets: ReadonlyArray<HandSocket>,
  pool: WebSocketPool.WebSocketPool
) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const api = yield* JsonRpc.make(members, { handlers }).pipe(
      Effect.provideService(WebSocketPool.WebSocketPool, pool),
      Scope.provide(scope)
    )
    const socket = yield* opened(api, sockets)
    yield* say(socket, asks("s1", "ask", "x"))
    return { closing: yield* start(Scope.close(scope, Exit.void)), socket }
  })

describe("J4 how many handlers run", () => {
  it.effect("at most concurrency on a connection; the others wait in order, and hold no answer up", () => {
    const begun: Array<unknown> = []
    const handlers = {
      ask: (params: unknown) =>
        Effect.andThen(
          Effect.sync(() => begun.push(params)),
          Effect.as(Effect.sleep("1 second"), params)
        )
    }
    return rpc({ handlers, concurrency: 2 }, {}, (api, sockets) =>
      Effect.gen(function* () {
        const call = yield* start(api.call())
        const socket = sockets[0]!
        yield* say(socket, ...[1, 2, 3, 4, 5].map((n) => asks(`s${n}`, "ask", n)), json({ id: 1, result: 1 }))
        yield* now(call)
        assert.deepStrictEqual(begun, [1, 2])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(begun, [1, 2, 3, 4])
        yield* TestClock.adjust("2 seconds")
        const answered = said(socket).slice(1) as ReadonlyArray<{ readonly result: number }>
        assert.deepStrictEqual(answered.map(({ result }) => result).sort(), [1, 2, 3, 4, 5])
      })
    )
  })

  it.effect("past 1,024 that wait a call is answered with an error", () =>
    rpc({ handlers: { ask: () => Effect.never }, concurrency: 2 }, {}, (api, sockets) =>
      Effect.gen(function* () {
        const socket = yield* opened(api, sockets)
        const ask = (n: number) => asks(`s${n}`)
        yield* say(socket, ...Array.from({ length: 1026 }, (_, n) => ask(n)))
        assert.strictEqual(socket.sent.length, 1)
        yield* say(socket, ask(1026))
        assert.deepStrictEqual(said(socket).slice(1), [
          { id: "s1026", error: { code: -32000, message: "Too many calls at once" } }
        ])
        socket.lose()
      })
    )
  )

  it.effect("those that wait are dropped with their connection", () => {
    let begun = 0
    const handlers = {
      ask: () =>
        Effect.andThen(
          Effect.sync(() => (begun += 1)),
          Effect.sleep("1 second")
        )
    }
    return rpc({ handlers, concurrency: 1 }, {}, (api, sockets) =>
      Effect.gen(function* () {
        const socket = yield* opened(api, sockets)
        yield* say(socket, asks("a"), asks("b"), asks("c"))
        socket.lose()
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(begun, 1)
      })
    )
  })
})
