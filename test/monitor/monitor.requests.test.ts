/** What the monitor tells of requests that share the connections of a pool. */
import { Multiplexer, WebSocketPool } from "effect-websocket-pool"
import * as WebSocketPoolMonitor from "effect-websocket-pool/WebSocketPoolMonitor"
import * as WebSocketPoolRpc from "effect-websocket-pool/WebSocketPoolRpc"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import { RpcSerialization } from "#effect/rpc/RpcSerialization"
import * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { serializations } from "#support/rpc"
import { assert, describe, it } from "#support/vitest"
import { fetchFrom, respond } from "#support/web"
import type { Sample, Snapshot } from "../../src/monitor/wire.js"
import { rpc } from "../requests/rpcSupport.js"
import { cancelling, mute, say, scenario, start } from "../requests/support.js"
import { poolWith, settle } from "../support/memoryPool.js"

const stateOf = (pool: WebSocketPool.WebSocketPool) =>
  Effect.gen(function* () {
    const response = yield* fetchFrom(WebSocketPoolMonitor.router(pool), "/state.json")
    const text = yield* Effect.promise(() => response.text())
    const { pools } = JSON.parse(text) as { readonly pools: ReadonlyArray<Snapshot> }
    const { connections, requests } = pools[0]!
    return { text, requests, connections: connections!.map(({ id, requests }) => [id, requests]) }
  })

const nothing = { inFlight: 0, abandoned: 0, streams: 0, waiting: 0, cancelled: 0, lagged: 0, unmatched: 0 }

const asleep = <A, E>(stream: Stream.Stream<A, E>) => Stream.runForEach(stream, () => Effect.never)

describe("monitor: requests that share connections", () => {
  it.effect("tells of those in flight, abandoned and waiting, of streams, and of what was not read or for nobody", () =>
    scenario(
      { codec: mute, concurrency: 4, targetUtilization: 1, bufferSize: 1, overflow: "slide" },
      { maxConnections: 1 },
      (lines, sockets, pool) =>
        Effect.gen(function* () {
          assert.deepStrictEqual((yield* stateOf(pool)).requests, nothing)
          const given = yield* start(lines.request("given up"))
          yield* start(lines.request("a"))
          yield* start(lines.request("b"))
          yield* start(asleep(lines.stream("s")))
          yield* start(lines.request("late"))
          yield* Fiber.interrupt(given)
          yield* say(sockets[0], "4 + read")
          yield* say(sockets[0], "4 + 1", "4 + 2", "4 + 3", "9 = nobody's")
          const { connections, requests } = yield* stateOf(pool)
          assert.deepStrictEqual(requests, {
            inFlight: 3,
            abandoned: 1,
            streams: 1,
            waiting: 1,
            cancelled: 1,
            lagged: 2,
            unmatched: 1
          })
          assert.deepStrictEqual(connections, [["main-1", { concurrency: 4, inFlight: 3, abandoned: 1, streams: 1 }]])

          // The answers come: no place is taken any more.
          yield* say(sockets[0], "1 = too late", "2 = a", "3 = b", "4 .", "5 = late")
          const after = yield* stateOf(pool)
          assert.deepStrictEqual(after.requests, { ...nothing, cancelled: 1, lagged: 2, unmatched: 2 })
          assert.deepStrictEqual(after.connections, [
            ["main-1", { concurrency: 4, inFlight: 0, abandoned: 0, streams: 0 }]
          ])
        })
    )
  )

  it.effect("sums up all who share a pool, says who has which connection, and forgets one whose scope ends", () =>
    scenario({}, {}, (lines, _, pool) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const others = yield* Scope.provide(Multiplexer.make({ codec: cancelling, concurrency: 7 }), scope).pipe(
          Effect.provideService(WebSocketPool.WebSocketPool, pool)
        )
        const alone = yield* pool.get
        yield* start(lines.request("a"))
        yield* start(others.request("b"))
        yield* start(asleep(others.stream("c", { exclusive: true })))
        const pinned = yield* others.pinned
        yield* start(pinned.request("d"))
        const { connections, requests } = yield* stateOf(pool)
        assert.deepStrictEqual(requests, { ...nothing, inFlight: 4, streams: 1 })
        const carried = (concurrency: number, streams = 0) => ({ concurrency, inFlight: 1, abandoned: 0, streams })
        assert.deepStrictEqual(connections, [
          [alone.id, undefined],
          ["main-2", carried(100)],
          ["main-3", carried(7)],
          ["main-4", carried(1, 1)],
          ["main-5", carried(7)]
        ])

        // What it has under way goes on for a while, and is told of as long.
        yield* start(Scope.close(scope, Exit.void))
        assert.deepStrictEqual((yield* stateOf(pool)).requests, { ...nothing, inFlight: 4, streams: 1 })
        yield* TestClock.adjust("10 seconds")
        const after = yield* stateOf(pool)
        assert.deepStrictEqual(after.requests, { ...nothing, inFlight: 1 })
        assert.deepInclude(after.connections, ["main-2", carried(100)])
      })
    )
  )

  it.effect(
    "tells nothing of them where nobody shares connections out, and nothing any more when the last has gone",
    () =>
      Effect.gen(function* () {
        const pool = yield* WebSocketPool.WebSocketPool
        const other = yield* pool.get
        assert.notInclude((yield* stateOf(pool)).text, '"requests"')
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* Multiplexer.make({ codec: cancelling, minConnections: 1 })
            yield* settle
            const { connections, requests } = yield* stateOf(pool)
            assert.deepStrictEqual(requests, nothing)
            assert.deepStrictEqual(connections, [
              [other.id, undefined],
              ["mine-2", { concurrency: 100, inFlight: 0, abandoned: 0, streams: 0 }]
            ])
          })
        )
        assert.notInclude((yield* stateOf(pool)).text, '"requests"')
      }).pipe(Effect.scoped, Effect.provide(poolWith({ name: "mine" })))
  )

  it.effect("tells of calls and subscriptions of JSON-RPC", () =>
    rpc({}, {}, (api, _, pool) =>
      Effect.gen(function* () {
        yield* start(api.call())
        yield* start(Stream.runDrain(api.heads()))
        const { connections, requests } = yield* stateOf(pool)
        assert.deepStrictEqual(requests, { ...nothing, inFlight: 2, streams: 1 })
        assert.deepStrictEqual(connections, [["main-1", { concurrency: 100, inFlight: 2, abandoned: 0, streams: 1 }]])
      })
    )
  )

  it.effect("tells of Effect RPC", () =>
    Effect.gen(function* () {
      const [[, json]] = serializations as readonly [(typeof serializations)[number]]
      yield* WebSocketPoolRpc.makeProtocol({ minConnections: 1, concurrency: 5 }).pipe(
        Effect.provide(Layer.succeed(RpcSerialization, json))
      )
      yield* settle
      const { connections, requests } = yield* stateOf(yield* WebSocketPool.WebSocketPool)
      assert.deepStrictEqual(requests, nothing)
      assert.deepStrictEqual(connections, [["mine-1", { concurrency: 5, inFlight: 0, abandoned: 0, streams: 0 }]])
    }).pipe(Effect.scoped, Effect.provide(poolWith({ name: "mine" })))
  )

  it.effect("records them each second, for the chart", () =>
    Effect.gen(function* () {
      const pool = yield* WebSocketPool.WebSocketPool
      const recording = yield* WebSocketPoolMonitor.record(pool)
      const scope = yield* Scope.make()
      const lines = yield* Scope.provide(Multiplexer.make({ codec: mute }), scope)
      yield* start(lines.request("a"))
      yield* Fiber.interrupt(yield* start(lines.request("b")))
      yield* TestClock.adjust("1 second")
      yield* start(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("20 seconds")
      const { body } = yield* respond(WebSocketPoolMonitor.router(recording), "/events")
      assert(body._tag === "Stream")
      const [first] = Array.from(yield* Stream.runCollect(Stream.take(Stream.decodeText(body.stream), 1)))
      const { history } = JSON.parse(/^data: (.*)$/m.exec(first!)![1]!) as Sample
      const told = history!.moments.map(({ requests }) => requests)
      assert.deepStrictEqual(told.slice(0, 2), [null, { inFlight: 1, abandoned: 1, streams: 0, lagged: 0 }])
      assert.isNull(told.at(-1))
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )
})
