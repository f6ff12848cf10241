import { Agent } from "node:https"
import { connect as netConnect, type Socket } from "node:net"
import type { PeerCertificate, TLSSocket } from "node:tls"
import { WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import { NodeWebSocketTransport } from "effect-websocket-pool/node"
import * as Clock from "#effect/Clock"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import * as Schedule from "#effect/Schedule"
import type * as Scope from "#effect/Scope"
import { aheadOf, withClock } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { httpAnswer, type Listening, tcpServer, tls, wssServer } from "../../fixtures/servers.js"
import { until } from "../../support/faults.js"

type Options = NodeWebSocketTransport.Options

interface Server extends Listening {
  /** Whether each connection so far has resumed a session. */
  readonly resumed: ReadonlyArray<boolean>
}

/** Two servers with the same keys resume each other's sessions. */
const ticketKeys = Buffer.alloc(48, 1)

type Version = "TLSv1.2" | "TLSv1.3"

const serverOf = (version: Version = "TLSv1.3", options: object = {}): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.gen(function* () {
    const resumed: Array<boolean> = []
    const server = yield* wssServer(
      (peer, request) => {
        resumed.push((request.socket as TLSSocket).isSessionReused())
        peer.on("message", (data, isBinary) => peer.send(data, { binary: isBinary }))
      },
      { minVersion: version, maxVersion: version, ticketKeys, ...options }
    )
    return { ...server, resumed }
  })

const at = ({ port }: Listening, host = "127.0.0.1"): string => `wss://${host}:${port}/`

/** Connects, exchanges a message, by when every session has come, and closes. */
const exchange = (transport: ReturnType<typeof NodeWebSocketTransport.make>, url: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({ url, retry: Schedule.recurs(0) })
      assert.strictEqual(yield* pool.ask("hello"), "hello")
    })
  ).pipe(Effect.provide(Layer.succeed(WebSocketTransport.WebSocketTransport, transport)))

const twice = (transport: ReturnType<typeof NodeWebSocketTransport.make>, first: string, second = first) =>
  Effect.andThen(exchange(transport, first), exchange(transport, second))

const trusting = (options: Options = {}) => NodeWebSocketTransport.make({ ca: tls.ca, ...options })

/** Goes on to another port. */
const relay = (near: Socket, port: number, first = ""): void => {
  near.pause()
  const far = netConnect({ port, host: "127.0.0.1" }, () => {
    near.write(first)
    near.pipe(far)
    far.pipe(near)
  })
  far.on("error", () => near.destroy())
  far.on("close", () => near.destroy())
  near.on("close", () => far.destroy())
}

/** A proxy that leads to the port it is asked for. */
const proxyServer = tcpServer(
  httpAnswer((near, head) =>
    relay(near, Number(/^CONNECT \S*:(\d+) /.exec(head)?.[1]), "HTTP/1.1 200 Connection established\r\n\r\n")
  )
)

/** When the certificates of the tests expire. */
const expiry = Date.UTC(2120, 0, 1)

/** With a wall clock that shows this time. */
const showing =
  (time: number) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Clock.clockWith((clock) => {
      const ahead = time - Date.now()
      return withClock(
        effect,
        aheadOf(
          clock,
          () => ahead,
          () => 0n
        )
      )
    })

describe("a TLS session", () => {
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    for (const host of ["127.0.0.1", "localhost"]) {
      it.live(`is resumed by the next connection to ${host}, and by the one after that (${version})`, () =>
        Effect.scoped(
          Effect.gen(function* () {
            const server = yield* serverOf(version)
            const transport = trusting()
            yield* twice(transport, at(server, host))
            yield* exchange(transport, at(server, host))
            assert.deepStrictEqual(server.resumed, [false, true, true])
          })
        )
      )
    }

    it.live(`is resumed through the same proxy, and not through another one or none (${version})`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serverOf(version)
          const { port } = yield* proxyServer
          const other = yield* proxyServer
          const before = { ...process.env }
          yield* Effect.addFinalizer(() =>
            Effect.sync(() => {
              process.env = before
            })
          )
          const transport = trusting({ proxy: "environment" })
          const through = (proxy: string) =>
            Effect.suspend(() => {
              process.env.https_proxy = proxy
              process.env.no_proxy = ""
              process.env.NO_PROXY = ""
              return exchange(transport, at(server, "localhost"))
            })
          yield* through(`http://127.0.0.1:${port}`)
          yield* through(`http://127.0.0.1:${port}`)
          yield* through(`http://127.0.0.1:${other.port}`)
          process.env.HTTPS_PROXY = ""
          yield* through("")
          assert.deepStrictEqual(server.resumed, [false, true, false, false])
        })
      )
    )

    it.live(`is never offered at another port, or by another name (${version})`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serverOf(version)
          const other = yield* serverOf(version)
          const transport = trusting()
          yield* twice(transport, at(server), at(other))
          yield* exchange(transport, at(server, "localhost"))
          assert.deepStrictEqual([server.resumed, other.resumed], [[false, false], [false]])
        })
      )
    )

    it.live(`is offered until the certificate expires (${version})`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serverOf(version)
          const transport = trusting()
          yield* exchange(transport, at(server))
          // The time goes on while it connects: a minute is more than that takes.
          yield* showing(expiry - 60_000)(exchange(transport, at(server)))
          yield* showing(expiry)(exchange(transport, at(server)))
          assert.deepStrictEqual(server.resumed, [false, true, false])
        })
      )
    )

    it.live(`is never offered with rejectUnauthorized: false (${version})`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serverOf(version)
          yield* twice(trusting({ rejectUnauthorized: false }), at(server))
          assert.deepStrictEqual(server.resumed, [false, false])
        })
      )
    )

    it.live(`is never offered with a checkServerIdentity, which checks each connection (${version})`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serverOf(version)
          const checked: Array<string> = []
          const checkServerIdentity = (host: string, _: PeerCertificate) => {
            checked.push(host)
            return undefined
          }
          yield* twice(trusting({ checkServerIdentity }), at(server))
          assert.deepStrictEqual(server.resumed, [false, false])
          assert.deepStrictEqual(checked, ["127.0.0.1", "127.0.0.1"])
        })
      )
    )

    it.live(`is left to an agent (${version})`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serverOf(version)
          const agent = new Agent({ ca: tls.ca, maxCachedSessions: 0 })
          yield* twice(trusting({ agent }), at(server))
          assert.deepStrictEqual(server.resumed, [false, false])
        })
      )
    )

    it.live(`is not taken over by a transport that trusts somebody else, or expects another name (${version})`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serverOf(version)
          yield* twice(trusting(), at(server))
          for (const options of [{ ca: tls.otherCa }, { servername: "other.test" }, { ca: undefined }]) {
            const error = yield* Effect.flip(exchange(trusting(options), at(server)))
            assert.strictEqual((error as { readonly reason?: string }).reason, "Tls")
          }
          yield* twice(trusting({ cert: tls.cert, key: tls.key }), at(server))
          assert.deepStrictEqual(server.resumed, [false, true, false, true])
        })
      )
    )

    it.live(`that a server does not know is followed by a check of its certificate (${version})`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const transport = trusting()
          const first = yield* serverOf(version)
          const second = yield* serverOf(version, { ticketKeys: Buffer.alloc(48, 2) })
          let { port } = first
          const address = yield* tcpServer((near) => relay(near, port))
          yield* twice(transport, at(address))
          port = second.port
          yield* twice(transport, at(address))
          assert.deepStrictEqual(
            [first.resumed, second.resumed],
            [
              [false, true],
              [false, true]
            ]
          )
        })
      )
    )

    it.live(`is resumed by a pool that replaces its connections (${version})`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serverOf(version)
          const pool = yield* WebSocketPool.make({ url: at(server, "localhost"), minConnections: 20 })
          yield* pool.ready
          yield* pool.ask("hello")
          const before = server.resumed.length
          yield* pool.refresh
          yield* until(() => server.resumed.length === before + 20)
          assert.isTrue(server.resumed.slice(before).every((isResumed) => isResumed))
        }).pipe(Effect.provide(NodeWebSocketTransport.layer({ ca: tls.ca })))
      )
    )
  }

  it.live("that was never checked is not kept", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* serverOf()
        const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED
        // The name is checked by Node, and not by OpenSSL, which would tell again that it has not been.
        const transport = trusting({ servername: "other.test" })
        yield* Effect.acquireUseRelease(
          Effect.sync(() => {
            process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0"
          }),
          () => exchange(transport, at(server)),
          () =>
            Effect.sync(() => {
              if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
              else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
            })
        )
        const error = yield* Effect.flip(exchange(transport, at(server)))
        assert.strictEqual((error as { readonly reason?: string }).reason, "Tls")
        assert.deepStrictEqual(server.resumed, [false])
      })
    )
  )
})
