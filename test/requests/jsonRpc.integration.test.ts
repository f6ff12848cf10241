import type { AddressInfo } from "node:net"
import { JsonRpc } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import { WebSocketServer } from "ws"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import * as Schema from "#effect/Schema"
import * as Stream from "#effect/Stream"
import { assert, describe, it } from "#support/vitest"

class Server extends JsonRpc.Tag("Server")<Server>()({
  double: JsonRpc.method("double", { params: Schema.Array(Schema.Number), result: Schema.Number }),
  ticks: JsonRpc.subscription({
    subscribe: "subscribe",
    unsubscribe: "unsubscribe",
    notification: "tick",
    item: Schema.Number
  })
}) {}

/** It answers in any order, in batches now and then, and tells ticks behind the answer in the same batch. */
const listening = Effect.acquireRelease(
  Effect.callback<{
    readonly url: string
    readonly counts: { most: number; ended: number }
    readonly close: () => void
  }>((resume) => {
    const counts = { most: 0, ended: 0 }
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0 })
    server.on("connection", (socket) => {
      let waiting: Array<object> = []
      let subscriptions = 0
      const answer = (): void => {
        const all = waiting.reverse()
        waiting = []
        if (all.length > 0) socket.send(JSON.stringify(all))
      }
      socket.on("message", (data) => {
        const { id, method, params } = JSON.parse(String(data))
        if (method === "double") {
          if (waiting.length === 0) setImmediate(answer)
          waiting.push({ jsonrpc: "2.0", id, result: params[0] * 2 })
          counts.most = Math.max(counts.most, waiting.length)
        } else if (method === "subscribe") {
          subscriptions += 1
          const subscription = `s${subscriptions}`
          const tick = (result: number) => ({ jsonrpc: "2.0", method: "tick", params: { subscription, result } })
          socket.send(JSON.stringify(tick(1)))
          socket.send(JSON.stringify([{ jsonrpc: "2.0", id, result: subscription }, tick(2), tick(3)]))
          socket.send(JSON.stringify(tick(4)))
        } else if (method === "unsubscribe") {
          counts.ended += 1
          socket.send(JSON.stringify({ jsonrpc: "2.0", id, result: true }))
        }
      })
    })
    server.on("listening", () => {
      const { port } = server.address() as AddressInfo
      const close = (): void => {
        for (const client of server.clients) client.terminate()
        server.close()
      }
      resume(Effect.succeed({ url: `ws://127.0.0.1:${port}`, counts, close }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

describe("JsonRpc over real sockets", () => {
  it.live("finds the call for each of 2,000 answers, over few connections", () =>
    Effect.gen(function* () {
      const { counts, url } = yield* listening
      const numbers = Array.from({ length: 2000 }, (_, index) => index)
      const program = Effect.gen(function* () {
        const doubled = yield* Effect.forEach(numbers, (number) => Server.double([number]), { concurrency: 150 })
        assert.deepStrictEqual(
          doubled,
          numbers.map((number) => 2 * number)
        )
        const ticks = yield* Effect.forEach([1, 2, 3], () => Stream.runCollect(Stream.take(Server.ticks(), 4)), {
          concurrency: 3
        })
        for (const tick of ticks) assert.deepStrictEqual(Array.from(tick), [1, 2, 3, 4])
        // Behind what ended the subscriptions.
        assert.strictEqual(yield* Server.double([1]), 2)
      })
      yield* Effect.provide(program, Layer.provide(Server.layer(), NodeWebSocketPool.layer({ url, maxConnections: 2 })))
      assert.isAtLeast(counts.most, 10)
      assert.strictEqual(counts.ended, 3)
    }).pipe(Effect.scoped)
  )
})
