import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { WebSocketPool, WebSocketTransport } from "effect-websocket-pool"

const ask = (question: string) =>
  WebSocketPool.use((connection) => Effect.andThen(connection.send(question), connection.receive)).pipe(
    Effect.timeout("5 seconds")
  )

const poolTo = (server: (peer: WebSocketTransport.MemoryPeer) => Effect.Effect<unknown, unknown>) =>
  WebSocketPool.layer({ url: "ws://test" }).pipe(Layer.provide(WebSocketTransport.layerMemory(server)))

it.effect("gets its answer", () =>
  Effect.gen(function* () {
    assert.strictEqual(yield* ask("ping"), "you said ping")
  }).pipe(
    Effect.provide(
      poolTo((peer) => Effect.forever(Effect.flatMap(peer.receive, (message) => peer.send(`you said ${message}`))))
    )
  )
)

it.effect("gives up after five seconds", () =>
  Effect.gen(function* () {
    const asking = yield* Effect.forkChild(Effect.flip(ask("ping")))
    yield* TestClock.adjust("5 seconds")
    assert.strictEqual((yield* Fiber.join(asking))._tag, "TimeoutError")
  }).pipe(Effect.provide(poolTo(() => Effect.never)))
)
