import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { syncBuiltinESMExports } from "node:module"
import { connect as netConnect, type Socket } from "node:net"
import nodeTls, { type ConnectionOptions } from "node:tls"
import { Worker } from "node:worker_threads"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketTransport } from "effect-websocket-pool/node"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Schedule from "#effect/Schedule"
import * as TestClock from "#effect/testing/TestClock"
import { poll } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { resolve } from "../../../src/transport/node/dial.js"
import { tcpServer, tls, wsServer, wssServer } from "../../fixtures/servers.js"
import { turns, until } from "../../support/faults.js"
import { ownFrames } from "../../support/ownFrames.js"

type Options = NodeWebSocketTransport.Options

/** Its queue of connections is full and nobody accepts any, so that the system answers to nothing more. */
const deafServer = (host: string, port: number) =>
  Effect.gen(function* () {
    const lock = new Int32Array(new SharedArrayBuffer(4))
    const worker = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new Worker(
            `const { parentPort, workerData: { host, lock, port } } = require("node:worker_threads")
             const server = require("node:net").createServer((socket) => {
               socket.on("error", () => {})
               socket.once("data", (request) => {
                 const key = /^sec-websocket-key: (.*)\\r$/im.exec(request.toString())[1]
                 const accept = require("node:crypto").createHash("sha1")
                   .update(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64")
                 socket.write("HTTP/1.1 101 Yes\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n" +
                   "Sec-WebSocket-Accept: " + accept + "\\r\\n\\r\\n")
               })
             })
             server.listen({ host, port, backlog: 1 }, () => {
               parentPort.postMessage("listening")
               setImmediate(() => Atomics.wait(lock, 0, 0))
             })`,
            { eval: true, workerData: { host, port, lock } }
          )
      ),
      (worker) =>
        Effect.promise(() => {
          Atomics.store(lock, 0, 1)
          Atomics.notify(lock, 0)
          return worker.terminate()
        })
    )
    yield* Effect.callback<void>((resume) => void worker.once("message", () => resume(Effect.void)))
    const fillers = Array.from({ length: 4 }, () => netConnect({ host, port }).on("error", () => {}))
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const filler of fillers) filler.destroy()
      })
    )
    // Two fit in.
    yield* until(() => fillers.filter(({ connecting }) => !connecting).length >= 2)
    yield* turns(20)
    return {
      /** From now on it accepts and upgrades. */
      wake: Effect.sync(() => {
        for (const filler of fillers) filler.destroy()
        Atomics.store(lock, 0, 1)
        Atomics.notify(lock, 0)
      })
    }
  })

/** Where the process connects to, from here on, in turn. */
const clientSockets = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const sockets: Array<Socket> = []
      const listener = (message: unknown) => void sockets.push((message as { readonly socket: Socket }).socket)
      subscribe("net.client.socket", listener)
      return { sockets, listener }
    }),
    ({ listener }) => Effect.sync(() => unsubscribe("net.client.socket", listener))
  ),
  ({ sockets }) => sockets
)

/** The same for secure sockets, of which the channel knows nothing. */
const secureSockets = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const sockets: Array<Socket> = []
      const { connect } = nodeTls
      const replace = (next: typeof connect) => {
        nodeTls.connect = next
        syncBuiltinESMExports()
      }
      replace(((options: ConnectionOptions) => {
        const socket = connect(options)
        sockets.push(socket)
        return socket
      }) as typeof connect)
      return { sockets, restore: () => replace(connect) }
    }),
    ({ restore }) => Effect.sync(restore)
  ),
  ({ sockets }) => sockets
)

const lookupOf =
  (addresses: ReadonlyArray<string>): NonNullable<Options["lookup"]> =>
  (_, __, callback) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }))
    )

/** A pool that tries once, of a server whose name leads to these addresses. */
const poolOf = (url: string, addresses: ReadonlyArray<string>, options?: { readonly connectTimeout?: string }) =>
  WebSocketPool.layer({ url, maxConnections: 1, retry: Schedule.recurs(0), ...(options as object) }).pipe(
    Layer.provide(NodeWebSocketTransport.layer({ ownFrames, lookup: lookupOf(addresses), ca: tls.ca }))
  )

const open = Effect.scoped(WebSocketPool.get)

describe("the addresses of a host", () => {
  const freePort = Effect.map(Effect.scoped(tcpServer(() => {})), ({ port }) => port)

  it.effect("are tried 250 ms apart, or at once after a failure, and all are gone with the attempt", () =>
    Effect.gen(function* () {
      const server = yield* tcpServer((socket) => socket.resume())
      yield* deafServer("127.0.0.2", server.port)
      yield* deafServer("127.0.0.4", server.port)
      const sockets = yield* clientSockets
      // Nobody listens at the third.
      const lookup = lookupOf(["127.0.0.2", "127.0.0.4", "127.0.0.3", "127.0.0.1"])
      const layer = WebSocketPool.layer({ url: `ws://many.test:${server.port}`, maxConnections: 1 }).pipe(
        Layer.provide(NodeWebSocketTransport.layer({ ownFrames, lookup }))
      )
      const fiber = yield* Effect.forkChild(
        Effect.provide(
          Effect.flatMap(WebSocketPool.WebSocketPool, (pool) =>
            Effect.andThen(
              Effect.forkChild(Effect.scoped(pool.get)),
              Effect.forever(
                Effect.tap(pool.stats, ({ total }) =>
                  Effect.andThen(
                    Effect.sync(() => assert.isAtMost(total, 1)),
                    turns(1)
                  )
                )
              )
            )
          ),
          layer
        )
      )
      yield* until(() => sockets.length === 1)
      yield* TestClock.adjust("249 millis")
      yield* turns(20)
      assert.strictEqual(sockets.length, 1)
      yield* TestClock.adjust("1 millis")
      yield* until(() => sockets.length === 2)
      yield* TestClock.adjust("249 millis")
      yield* turns(20)
      assert.strictEqual(sockets.length, 2)
      yield* TestClock.adjust("1 millis")
      // The third fails, so the fourth does not wait.
      yield* until(() => sockets.length === 4)
      yield* until(() => server.sockets.size === 1)
      // It has won.
      yield* until(() => sockets[0]!.closed && sockets[1]!.closed && sockets[2]!.closed)
      assert.isFalse(sockets[3]!.closed)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(sockets.every(({ closed }) => closed))
      yield* until(() => server.sockets.size === 0)
    })
  )

  it.effect("are all given up when nothing answers", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      yield* deafServer("127.0.0.2", port)
      yield* deafServer("127.0.0.3", port)
      const sockets = yield* clientSockets
      const layer = poolOf(`ws://many.test:${port}`, ["127.0.0.2", "127.0.0.3"])
      const fiber = yield* Effect.forkChild(Effect.provide(Effect.flip(open), layer))
      yield* until(() => sockets.length === 1)
      yield* TestClock.adjust("250 millis")
      yield* until(() => sockets.length === 2)
      yield* TestClock.adjust("9749 millis")
      yield* turns(20)
      assert.isUndefined(poll(fiber))
      assert.isTrue(sockets.every(({ closed }) => !closed))
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(fiber)
      assert.isTrue(error._tag === "ConnectionUnavailableError" && error.reason === "Timeout")
      assert.isTrue(sockets.every(({ closed }) => closed))
    })
  )

  // Node gave the far one a quarter of a second, and then only the one that refuses was left.
  it.live("reach a server that takes longer than that, though another one refuses", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      for (const addresses of [
        ["127.0.0.2", "127.0.0.3"],
        ["127.0.0.3", "127.0.0.2"]
      ]) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const far = yield* deafServer("127.0.0.2", port)
            const fiber = yield* Effect.forkChild(Effect.provide(open, poolOf(`ws://many.test:${port}`, addresses)))
            yield* Effect.sleep("400 millis")
            assert.isUndefined(poll(fiber))
            yield* far.wake
            assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
          })
        )
      }
    })
  )

  for (const scheme of ["ws", "wss"]) {
    it.live(`lead to ${scheme}: by the first that connects, and the others are gone by then`, () =>
      Effect.gen(function* () {
        const server = yield* scheme === "ws" ? wsServer(() => {}) : wssServer(() => {})
        yield* deafServer("127.0.0.2", server.port)
        const sockets = yield* scheme === "ws" ? clientSockets : secureSockets
        const layer = poolOf(`${scheme}://localhost:${server.port}`, ["127.0.0.2", "127.0.0.1"])
        const use = WebSocketPool.use(() =>
          Effect.sync(() => {
            assert.deepStrictEqual(sockets.map(({ closed }) => closed).slice(-2), [true, false])
          })
        )
        yield* Effect.provide(use, layer)
      })
    )
  }

  it.live("do not weaken the check of the server's name", () =>
    Effect.gen(function* () {
      const server = yield* wssServer(() => {})
      for (const addresses of [["127.0.0.1"], ["127.0.0.3", "127.0.0.1"]]) {
        const layer = poolOf(`wss://other.test:${server.port}`, addresses)
        const error = yield* Effect.flip(Effect.provide(open, layer))
        assert.isTrue(error._tag === "ConnectionUnavailableError" && error.reason === "Tls")
        assert.include(error.message, "other.test")
      }
    })
  )

  it.live("can be won where nothing can be interrupted", () =>
    Effect.gen(function* () {
      const server = yield* wsServer(() => {})
      yield* deafServer("127.0.0.2", server.port)
      const transport = NodeWebSocketTransport.make({ ownFrames, lookup: lookupOf(["127.0.0.2", "127.0.0.1"]) })
      let isOpen = false
      const request = { protocols: [], headers: {}, maxPayload: 1_000, closeTimeout: 1_000 }
      yield* Effect.uninterruptible(
        transport.connect(
          { url: `ws://many.test:${server.port}`, ...request },
          {
            onOpen: (socket) => {
              isOpen = true
              socket.destroy()
            },
            onMessage() {},
            onPong() {},
            onFlush() {},
            onEnd() {},
            onGone() {}
          }
        )
      )
      assert.isTrue(isOpen)
    })
  )

  const orders: ReadonlyArray<readonly [ReadonlyArray<string>, ReadonlyArray<string>]> = [
    [["127.0.0.1"], ["127.0.0.1"]],
    [
      ["::1", "::2", "127.0.0.1", "127.0.0.2"],
      ["::1", "127.0.0.1", "::2", "127.0.0.2"]
    ],
    [
      ["127.0.0.1", "127.0.0.2", "127.0.0.3", "::1"],
      ["127.0.0.1", "::1", "127.0.0.2", "127.0.0.3"]
    ],
    [["127.0.0.1", "nonsense", "127.0.0.1"], ["127.0.0.1"]]
  ]
  for (const [given, expected] of orders) {
    it.effect(`${given.join(", ")} are tried in the order ${expected.join(", ")}`, () =>
      Effect.gen(function* () {
        const addresses = yield* resolve({ host: "many.test", port: 1, lookup: lookupOf(given) })
        assert.deepStrictEqual(
          addresses.map(({ address }) => address),
          expected
        )
      })
    )
  }
})
