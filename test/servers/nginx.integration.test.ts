/** nginx as a proxy with a short idle timeout, in front of an echo server. */

import { PoolEvent, WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Schedule from "#effect/Schedule"
import * as Stream from "#effect/Stream"
import { assert, describe, it } from "#support/vitest"
import * as example from "../../examples/servers/nginx.js"
import { nginx } from "./support/nginx.js"
import { runExample, statsWhen } from "./support/pool.js"
import * as Process from "./support/process.js"

const isMissing = Process.find("nginx") === undefined

/** Why connections are closed, in order, from now on. */
const closings = Effect.gen(function* () {
  const reasons: Array<PoolEvent.CloseReason> = []
  yield* WebSocketPool.events.pipe(
    Stream.filter(PoolEvent.is("ConnectionClosed")),
    Stream.runForEach(({ reason }) => Effect.sync(() => reasons.push(reason))),
    Effect.forkChild
  )
  yield* Effect.yieldNow
  return reasons
})

const untilBack = Schedule.spaced("20 millis")

describe.skipIf(isMissing)(
  Process.title("nginx", "nginx", "nginx-light"),
  { concurrent: true, timeout: 60_000 },
  () => {
    it.live("the example runs as it is, and its connection survives the proxy's timeout", () =>
      Effect.gen(function* () {
        const { url } = yield* nginx(2)
        assert.deepStrictEqual(yield* runExample("nginx.ts", url, "2"), {
          stdout: "the same connection served both\n",
          stderr: ""
        })
      })
    )

    it.live("cuts a connection that is pinged too seldom, and the next lease gets a new one", () =>
      Effect.gen(function* () {
        const { url } = yield* nginx(1)
        yield* Effect.gen(function* () {
          const reasons = yield* closings
          const first = yield* example.ask("first")
          yield* statsWhen(({ closed }) => closed === 1)
          assert.deepStrictEqual(reasons, ["Remote"])
          const second = yield* example.ask("second")
          assert.strictEqual(second.answer, "second")
          assert.notStrictEqual(second.connectionId, first.connectionId)
        }).pipe(Effect.provide(NodeWebSocketPool.layer({ url })))
      })
    )

    it.live("tells the holder of a lease that it was cut", () =>
      Effect.gen(function* () {
        const { url } = yield* nginx(1)
        const error = yield* WebSocketPool.use((connection) => connection.receive).pipe(
          Effect.flip,
          Effect.provide(NodeWebSocketPool.layer({ url }))
        )
        assert.strictEqual(error._tag, "ConnectionClosedError")
        assert.propertyVal(error, "initiator", "Remote")
        assert.propertyVal(error, "code", 1006)
      })
    )

    it.live("does not cut one that is pinged in time, even if it is leased and silent", () =>
      Effect.gen(function* () {
        const proxy = yield* nginx(2)
        yield* WebSocketPool.use((connection) =>
          Effect.gen(function* () {
            // One that is not pinged comes later, and is cut before.
            yield* WebSocketPool.use((unpinged) => unpinged.receive).pipe(
              Effect.flip,
              Effect.provide(NodeWebSocketPool.layer({ url: proxy.url, pingInterval: "1 hour" }))
            )
            yield* connection.send("still there?")
            assert.strictEqual(yield* connection.receive, "still there?")
          })
        ).pipe(Effect.provide(example.layer(proxy.url, Duration.seconds(2))))
      })
    )

    it.live("validation sees through the proxy whether the server behind it answers", () =>
      Effect.gen(function* () {
        const { upstream, url } = yield* nginx(60)
        yield* Effect.gen(function* () {
          const reasons = yield* closings
          const first = yield* example.ask("first")
          upstream.connections[0]?.pause()
          yield* Effect.sleep("60 millis")
          const second = yield* example.ask("second")
          assert.strictEqual(second.answer, "second")
          assert.notStrictEqual(second.connectionId, first.connectionId)
          yield* statsWhen(({ closed }) => closed === 1)
          assert.deepStrictEqual(reasons, ["Unhealthy"])
        }).pipe(
          Effect.provide(
            NodeWebSocketPool.layer({
              ...example.options(url),
              validateAfterIdle: "50 millis",
              closeTimeout: "100 millis"
            })
          )
        )
      })
    )

    it.live("a server that is away is a refused handshake with 502", () =>
      Effect.gen(function* () {
        const { upstream, url } = yield* nginx(60)
        yield* upstream.stop
        const error = yield* example
          .ask("anybody there?")
          .pipe(
            Effect.flip,
            Effect.provide(NodeWebSocketPool.layer({ ...example.options(url), retry: Schedule.recurs(2) }))
          )
        if (error._tag !== "ConnectionUnavailableError") return assert.fail(error._tag)
        const { attempts, isRetryable, reason, status } = error
        assert.deepStrictEqual(
          { attempts, isRetryable, reason, status },
          { attempts: 3, isRetryable: true, reason: "Handshake", status: 502 }
        )
      })
    )

    it.live("who asks while the server is away is answered when it is back", () =>
      Effect.gen(function* () {
        const { upstream, url } = yield* nginx(60)
        yield* Effect.gen(function* () {
          yield* example.ask("before")
          yield* upstream.stop
          yield* statsWhen(({ closed }) => closed === 1)
          const asking = yield* Effect.forkChild(example.ask("during"))
          yield* statsWhen(({ connectFailures }) => connectFailures >= 2)
          yield* upstream.start
          assert.strictEqual((yield* Fiber.join(asking)).answer, "during")
        }).pipe(Effect.provide(NodeWebSocketPool.layer({ ...example.options(url), retry: untilBack })))
      })
    )

    it.live("a reload cuts what its old workers hold, and new connections come through", () =>
      Effect.gen(function* () {
        const proxy = yield* nginx(60)
        yield* Effect.gen(function* () {
          const reasons = yield* closings
          const before = yield* example.ask("before")
          yield* proxy.reload
          yield* statsWhen(({ closed }) => closed === 1)
          assert.deepStrictEqual(reasons, ["Remote"])
          const after = yield* example.ask("after")
          assert.strictEqual(after.answer, "after")
          assert.notStrictEqual(after.connectionId, before.connectionId)
        }).pipe(Effect.provide(example.layer(proxy.url)))
      })
    )

    it.live("a proxy that is killed and started again is found again", () =>
      Effect.gen(function* () {
        const proxy = yield* nginx(60)
        yield* Effect.gen(function* () {
          yield* example.ask("before")
          yield* proxy.kill
          yield* statsWhen(({ closed }) => closed === 1)
          const asking = yield* Effect.forkChild(example.ask("during"))
          yield* statsWhen(({ connectFailures }) => connectFailures >= 2)
          yield* proxy.restart
          assert.strictEqual((yield* Fiber.join(asking)).answer, "during")
        }).pipe(Effect.provide(NodeWebSocketPool.layer({ ...example.options(proxy.url), retry: untilBack })))
      })
    )
  }
)
