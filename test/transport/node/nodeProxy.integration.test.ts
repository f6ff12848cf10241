import { AsyncResource } from "node:async_hooks"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { Agent, type ClientRequestArgs, get } from "node:http"
import { connect as netConnect, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import { inspect } from "node:util"
import { type PoolError, type WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketTransport } from "effect-websocket-pool/node"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Redacted from "#effect/Redacted"
import * as Schedule from "#effect/Schedule"
import type * as Scope from "#effect/Scope"
import { poll, repeated } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { httpAnswer, type Listening, tcpServer, tls, tlsServer, wsServer, wssServer } from "../../fixtures/servers.js"
import { turns, until } from "../../support/faults.js"

type Options = NodeWebSocketTransport.Options

/** A proxy, what it was asked for, and the most connections it had at once. */
interface Proxy extends Listening {
  readonly heads: ReadonlyArray<string>
  readonly peak: () => number
}

type Answer = (near: Socket, head: string) => void

/** What `ok` writes goes before what comes from the server. */
const tunnelTo =
  (portOf: (head: string) => number, ok = "HTTP/1.1 200 Connection established\r\n\r\n"): Answer =>
  (near, head) => {
    near.pause()
    const far = netConnect({ port: portOf(head), host: "127.0.0.1" }, () => {
      near.write(ok)
      near.pipe(far)
      far.pipe(near)
    })
    far.on("error", () => near.destroy())
    far.on("close", () => near.destroy())
    near.on("close", () => far.destroy())
  }

/** To the port that was asked for, whatever the host. */
const tunnel = tunnelTo((head) => Number(/^CONNECT \S*:(\d+) /.exec(head)?.[1]))

/** It takes connections, and does not even look at what comes. */
const silence: Answer = () => {}

const counting = (
  answer: Answer,
  serve: (onSocket: (socket: Socket) => void) => Effect.Effect<Listening, never, Scope.Scope>
) =>
  Effect.gen(function* () {
    const heads: Array<string> = []
    let peak = 0
    const server: Listening = yield* serve((socket) => {
      peak = Math.max(peak, server.sockets.size)
      if (answer === silence) socket.resume()
      else {
        httpAnswer((near, head) => {
          heads.push(head)
          answer(near, head)
        })(socket)
      }
    })
    return { ...server, heads, peak: () => peak }
  })

const proxyServer = (answer: Answer = tunnel): Effect.Effect<Proxy, never, Scope.Scope> => counting(answer, tcpServer)

const secureProxy = (answer: Answer = tunnel): Effect.Effect<Proxy, never, Scope.Scope> => counting(answer, tlsServer)

const address = ({ port }: Listening, scheme = "http"): string => `${scheme}://127.0.0.1:${port}`

/** A pool that tries once. */
const poolOf = (
  url: string,
  transport: Options,
  options?: Partial<WebSocketPool.Options<never, never, never, never, never>>
) =>
  WebSocketPool.layer({ url, retry: Schedule.recurs(0), ...options }).pipe(
    Layer.provide(NodeWebSocketTransport.layer(transport))
  )

const ask = (connection: WebSocketConnection.WebSocketConnection) =>
  Effect.andThen(connection.send("hello"), connection.receive)

const exchange = (url: string, transport: Options) => Effect.provide(WebSocketPool.use(ask), poolOf(url, transport))

/** What connecting fails with. */
const failure = (url: string, transport: Options) =>
  Effect.map(Effect.flip(exchange(url, transport)), (error) => {
    if (error._tag !== "ConnectionUnavailableError") throw new Error(inspect(error))
    return error
  })

const echoServer = wsServer((peer) => peer.on("message", (data, isBinary) => peer.send(data, { binary: isBinary })))
const secureEchoServer = wssServer((peer) =>
  peer.on("message", (data, isBinary) => peer.send(data, { binary: isBinary }))
)

/** All sockets that `net.connect` opens from here on; those of the tests' own servers are among them. */
const clientSockets = Effect.acquireRelease(
  Effect.sync(() => {
    const sockets: Array<Socket> = []
    const listener = (message: unknown) => void sockets.push((message as { readonly socket: Socket }).socket)
    subscribe("net.client.socket", listener)
    return { sockets, listener }
  }),
  ({ listener }) => Effect.sync(() => unsubscribe("net.client.socket", listener))
)

const withEnvironment = (variables: Record<string, string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const names = ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY"].flatMap((name) => [name, name.toLowerCase()])
      const before = names.map((name) => [name, process.env[name]] as const)
      for (const name of names) delete process.env[name]
      Object.assign(process.env, variables)
      return before
    }),
    (before) =>
      Effect.sync(() => {
        for (const [name, value] of before) {
          if (value === undefined) delete process.env[name]
          else process.env[name] = value
        }
      })
  )

describe("proxy", () => {
  describe("leads through a tunnel", () => {
    it.live("to ws: and wss: servers, by a URL in any form", () =>
      Effect.gen(function* () {
        const plain = yield* echoServer
        const secure = yield* secureEchoServer
        const proxy = yield* proxyServer()
        const url = address(proxy)
        for (const given of [url, new URL(url), Redacted.make(url)]) {
          assert.strictEqual(yield* exchange(address(plain, "ws"), { proxy: given }), "hello")
          assert.strictEqual(yield* exchange(address(secure, "wss"), { proxy: given, ca: tls.ca }), "hello")
        }
        assert.deepStrictEqual(
          proxy.heads.map((head) => head.split("\r\n")[0]),
          [1, 2, 3].flatMap(() => [
            `CONNECT 127.0.0.1:${plain.port} HTTP/1.1`,
            `CONNECT 127.0.0.1:${secure.port} HTTP/1.1`
          ])
        )
        assert.notMatch(proxy.heads[0]!, /authorization|sec-websocket/i)
        yield* until(() => proxy.sockets.size === 0)
      })
    )

    it.live("of a secure proxy, whose certificate has to be trusted", () =>
      Effect.gen(function* () {
        const plain = yield* echoServer
        const secure = yield* secureEchoServer
        const proxy = yield* secureProxy()
        const options = { proxy: address(proxy, "https"), ca: tls.ca }
        assert.strictEqual(yield* exchange(address(plain, "ws"), options), "hello")
        assert.strictEqual(yield* exchange(address(secure, "wss"), options), "hello")

        // `rejectUnauthorized` is about the server.
        const error = yield* failure(address(plain, "ws"), { proxy: options.proxy, rejectUnauthorized: false })
        assert.strictEqual(error.reason, "Tls")
        assert.include(error.message, `proxy 127.0.0.1:${proxy.port}: `)
        yield* until(() => proxy.sockets.size === 0)
      })
    )

    it.live("which resolves the server's name, and the server's certificate is checked for it", () =>
      Effect.gen(function* () {
        const server = yield* secureEchoServer
        const proxy = yield* proxyServer(tunnelTo(() => server.port))
        const options: Options = {
          proxy: address(proxy),
          ca: tls.ca,
          lookup: () => assert.fail("nothing is to be resolved here")
        }
        assert.strictEqual(yield* exchange("wss://localhost", options), "hello")
        assert.match(proxy.heads[0]!, /^CONNECT localhost:443 HTTP\/1.1\r\nHost: localhost:443\r\n/)
        const error = yield* failure("wss://elsewhere.test:7", options)
        assert.strictEqual(error.reason, "Tls")
        assert.include(error.message, "elsewhere.test")
        assert.match(proxy.heads[1]!, /^CONNECT elsewhere.test:7 /)
      })
    )

    it.live("with the user info of the proxy's URL, decoded", () =>
      Effect.gen(function* () {
        const server = yield* echoServer
        const proxy = yield* proxyServer()
        const url = address(proxy).replace("//", "//us%65r:p%3Ass@")
        assert.strictEqual(yield* exchange(address(server, "ws"), { proxy: url }), "hello")
        const expected = Buffer.from("user:p:ss").toString("base64")
        assert.include(proxy.heads[0], `\r\nProxy-Authorization: Basic ${expected}\r\n`)
      })
    )

    it.live("whose answer comes in pieces, with fields and another 2xx status", () =>
      Effect.gen(function* () {
        const server = yield* echoServer
        const proxy = yield* proxyServer((near, head) => {
          let rest = "HTTP/1.1 204 Fine\r\nVia: 1.1 proxy\r\n\r\n"
          const next = () => {
            if (rest.length === 1) return tunnelTo(() => server.port, rest)(near, head)
            near.write(rest[0]!)
            rest = rest.slice(1)
            setImmediate(next)
          }
          next()
        })
        assert.strictEqual(yield* exchange(address(server, "ws"), { proxy: address(proxy) }), "hello")
      })
    )

    it.live("and loses nothing that comes right behind the proxy's answer", () =>
      Effect.gen(function* () {
        const proxy = yield* proxyServer((near) => {
          near.write("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n")
        })
        const error = yield* failure("ws://server.test", { proxy: address(proxy) })
        assert.strictEqual(error.status, 503)
        assert.notInclude(error.message, "proxy")
      })
    )

    it.live("also after a redirect", () =>
      Effect.gen(function* () {
        const server = yield* echoServer
        const moved = yield* tcpServer(
          httpAnswer((socket) =>
            socket.end(`HTTP/1.1 302 Found\r\nLocation: ws://there.test:${server.port}/\r\nContent-Length: 0\r\n\r\n`)
          )
        )
        const proxy = yield* proxyServer()
        const options = { proxy: address(proxy), followRedirects: true }
        assert.strictEqual(yield* exchange(`ws://here.test:${moved.port}`, options), "hello")
        assert.deepStrictEqual(
          proxy.heads.map((head) => head.split(" ")[1]),
          [`here.test:${moved.port}`, `there.test:${server.port}`]
        )
      })
    )
  })

  describe("of the environment", () => {
    it.live("is that of the scheme, the variable in lower case first, with or without http://", () =>
      Effect.gen(function* () {
        const plain = yield* echoServer
        const secure = yield* secureEchoServer
        const one = yield* proxyServer()
        const two = yield* proxyServer()
        yield* withEnvironment({
          http_proxy: `127.0.0.1:${one.port}`,
          HTTP_PROXY: "http://nowhere.invalid",
          HTTPS_PROXY: address(two)
        })
        const options = { proxy: "environment", ca: tls.ca }
        assert.strictEqual(yield* exchange(address(plain, "ws"), options), "hello")
        assert.deepStrictEqual([one.heads.length, two.heads.length], [1, 0])
        assert.strictEqual(yield* exchange(address(secure, "wss"), options), "hello")
        assert.deepStrictEqual([one.heads.length, two.heads.length], [1, 1])
      })
    )

    it.live("is none for a server in NO_PROXY, at each hop, and none when none is named", () =>
      Effect.gen(function* () {
        const server = yield* echoServer
        const moved = yield* tcpServer(
          httpAnswer((socket) =>
            socket.end(`HTTP/1.1 302 Found\r\nLocation: ${address(server, "ws")}\r\nContent-Length: 0\r\n\r\n`)
          )
        )
        const proxy = yield* proxyServer()
        yield* withEnvironment({ HTTP_PROXY: address(proxy), NO_PROXY: `other.test,127.0.0.1:${server.port}` })
        const options = { proxy: "environment", followRedirects: true }
        assert.strictEqual(yield* exchange(address(server, "ws"), options), "hello")
        assert.isEmpty(proxy.heads)
        assert.strictEqual(yield* exchange(address(moved, "ws"), options), "hello")
        assert.strictEqual(proxy.heads.length, 1)
        yield* withEnvironment({ HTTPS_PROXY: address(proxy), HTTP_PROXY: " " })
        assert.strictEqual(yield* exchange(address(server, "ws"), options), "hello")
        assert.strictEqual(proxy.heads.length, 1)
      })
    )

    it.live(`is a "Setup" failure that names the variable when it is bad`, () =>
      Effect.gen(function* () {
        yield* withEnvironment({ HTTP_PROXY: "socks5://user-one:pass-two@127.0.0.1:1" })
        const error = yield* failure("ws://server.test", { proxy: "environment" })
        assert.strictEqual(error.reason, "Setup")
        assert.include(error.message, "HTTP_PROXY: expected a URL that begins with http: or https:")
        assert.include(error.message, "SOCKS is not supported")
        assert.notMatch(inspect(error), /user-one|pass-two/)
      })
    )
  })

  for (const proxy of ["", "proxy:3128", "socks5://u-one:p-two@h", "u-one:p-two@h", "ws://u-one:p-two@h", "http://"]) {
    it.live(`"${proxy}" is a "Setup" failure that says what is allowed`, () =>
      Effect.gen(function* () {
        const error = yield* failure("ws://server.test", { proxy })
        assert.strictEqual(error.reason, "Setup")
        assert.include(error.message, "proxy: expected a URL that begins with http: or https:")
        assert.notMatch(inspect(error, { depth: 9 }), /u-one|p-two/)
      })
    )
  }

  it.live("without a scheme asks whether http: was meant", () =>
    Effect.gen(function* () {
      const error = yield* failure("ws://server.test", { proxy: "127.0.0.1:3128" })
      assert.include(
        error.message,
        "option proxy: expected a URL that begins with http: or https:, got one without a sch"
      )
      assert.include(error.message, "did you mean http://127.0.0.1:3128?")
      assert.notInclude(error.message, "onConnect")
    })
  )

  it.live(`that is of another kind is a "Setup" failure that says which`, () =>
    Effect.gen(function* () {
      const error = yield* failure("ws://server.test", { proxy: 3128 as unknown as string })
      assert.include(error.message, "option proxy: expected a URL that begins with http: or https:, got a number")
    })
  )

  it.live(`with an agent is a "Setup" failure`, () =>
    Effect.gen(function* () {
      const server = yield* echoServer
      const proxy = yield* proxyServer()
      const error = yield* failure(address(server, "ws"), { proxy: address(proxy), agent: new Agent() })
      assert.strictEqual(error.reason, "Setup")
      assert.include(error.message, "proxy and agent")
      assert.isEmpty(proxy.heads)
      assert.strictEqual(server.sockets.size, 0)
    })
  )

  describe("that refuses", () => {
    const refusals: ReadonlyArray<readonly [number, string, number | undefined]> = [
      [407, "Retry-After: 7\r\n", undefined],
      [502, "", undefined],
      [503, "Retry-After: 7\r\n", 7_000],
      [429, "Retry-After: 0\r\n", 0],
      [302, "Location: http://127.0.0.1:1/\r\n", undefined]
    ]
    for (const [status, fields, wait] of refusals) {
      it.live(`with ${status} is "Handshake", with what it says`, () =>
        Effect.gen(function* () {
          const proxy = yield* proxyServer((near) => {
            near.write(`HTTP/1.1 ${status} pass-two\r\n${fields}Content-Length: 1000000\r\n\r\nendless`)
          })
          const transport = NodeWebSocketTransport.make({
            proxy: address(proxy).replace("//", "//user-one:pass-two@"),
            followRedirects: true
          })
          const nobody = { onOpen() {}, onMessage() {}, onPong() {}, onFlush() {}, onEnd() {}, onGone() {} }
          const { sockets } = yield* clientSockets
          const error = yield* Effect.flip(
            transport.connect(
              { url: "ws://server.test", protocols: [], headers: {}, maxPayload: 1_000, closeTimeout: 1_000 },
              nobody
            )
          )
          assert.isTrue(sockets.length === 1 && sockets.every(({ closed }) => closed))
          assert.strictEqual(error.reason, "Handshake")
          assert.strictEqual(error.status, status)
          assert.strictEqual(error.retryAfter && Duration.toMillis(error.retryAfter), wait)
          assert.match((error.cause as Error).message, new RegExp(`^proxy 127.0.0.1:${proxy.port}: it `))
          assert.notMatch(inspect(error, { depth: 9 }), /user-one|pass-two|dXNlci1vbmU/)
          yield* until(() => proxy.sockets.size === 0)
        })
      )
    }
  })

  describe("that fails", () => {
    const failures: ReadonlyArray<readonly [string, PoolError.ConnectFailureReason, Answer, string?]> = [
      ["closes instead of answering", "Network", (near) => near.end()],
      ["resets instead of answering", "Network", (near) => near.resetAndDestroy()],
      ["closes within its answer", "Network", (near) => near.end("HTTP/1.1 200 OK\r\nVia")],
      ["closes right after its answer", "Network", (near) => near.end("HTTP/1.1 200 OK\r\n\r\n")],
      ["does not speak HTTP", "Handshake", (near) => near.end("SSH-2.0-OpenSSH_9.6\r\n")],
      [
        "sends endless fields",
        "Handshake",
        (near) => near.write(`HTTP/1.1 200 OK\r\n${"X-Filler: 1\r\n".repeat(9_000)}`)
      ]
    ]
    for (const [name, reason, answer] of failures) {
      for (const scheme of ["ws", "wss"]) {
        it.live(`since it ${name} is "${reason}" for ${scheme}:`, () =>
          Effect.gen(function* () {
            const proxy = yield* proxyServer(answer)
            const url = address(proxy).replace("//", "//user-one:pass-two@")
            const error = yield* failure(`${scheme}://server.test`, { proxy: url })
            assert.strictEqual(error.reason, reason, inspect(error))
            assert.isUndefined(error.status)
            assert.notMatch(inspect(error, { depth: 9 }), /user-one|pass-two/)
            yield* until(() => proxy.sockets.size === 0)
          })
        )
      }
    }

    it.live(`since nobody listens is "Network", and names the proxy`, () =>
      Effect.gen(function* () {
        const { port } = yield* Effect.scoped(tcpServer(() => {}))
        const error = yield* failure("ws://server.test", { proxy: `http://user-one:pass-two@127.0.0.1:${port}` })
        assert.strictEqual(error.reason, "Network")
        assert.include(error.message, `proxy 127.0.0.1:${port}: connect ECONNREFUSED`)
        assert.notMatch(inspect(error, { depth: 9 }), /user-one|pass-two/)
      })
    )

    it.live("since it does not fit its scheme says so", () =>
      Effect.gen(function* () {
        const plain = yield* wsServer(() => {})
        const secure = yield* secureProxy()
        const one = yield* failure("ws://server.test", { proxy: address(plain, "https") })
        assert.strictEqual(one.reason, "Tls")
        assert.include(one.message, "the proxy does not speak TLS on this port: use an http: URL")
        const two = yield* failure("ws://server.test", { proxy: address(secure) })
        assert.strictEqual(two.reason, "Network")
        assert.include(two.message, "if the proxy speaks TLS on this port, use an https: URL")
      })
    )
  })

  /** Ways to hang, each with a proxy that counts its connections. */
  const hangs: ReadonlyArray<readonly [string, string, Effect.Effect<Proxy, never, Scope.Scope>]> = [
    ["accepts and reads on", "ws", proxyServer(silence)],
    ["takes CONNECT", "ws", proxyServer(() => {})],
    ["takes CONNECT", "wss", proxyServer(() => {})],
    ["is in the middle of its answer", "ws", proxyServer((near) => near.write("HTTP/1.1 200 O"))],
    ["has opened the tunnel", "ws", proxyServer((near) => near.write("HTTP/1.1 200 OK\r\n\r\n"))],
    ["has opened the tunnel", "wss", proxyServer((near) => near.write("HTTP/1.1 200 OK\r\n\r\n"))],
    ["has half of the server's answer", "ws", proxyServer((near) => near.write("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 1"))]
  ]

  /** An agent as people write them: it tells of its socket only when the tunnel is there. */
  class TunnelAgent extends Agent {
    constructor(
      readonly port: number,
      readonly isLate: boolean
    ) {
      super()
    }

    override createConnection(
      { host, port }: ClientRequestArgs,
      done: (error: Error | null, socket: Duplex) => void
    ): undefined {
      const open = () => {
        const socket = netConnect({ port: this.port, host: "127.0.0.1" })
        socket.write(`CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
        socket.on("error", (error) => done(error, socket))
        socket.on("close", () => done(new Error("the agent's line was closed"), socket))
        socket.once("data", () => {
          done(null, socket)
        })
      }
      if (this.isLate) setImmediate(open)
      else open()
    }
  }

  const ways: ReadonlyArray<readonly [string, (port: number) => Options]> = [
    ["proxy", (port) => ({ proxy: `http://127.0.0.1:${port}` })],
    ["agent", (port) => ({ agent: new TunnelAgent(port, false) })],
    ["agent that takes its time", (port) => ({ agent: new TunnelAgent(port, true) })]
  ]

  for (const [way, options] of ways) {
    describe(`that hangs, by ${way},`, () => {
      for (const [name, scheme, serve] of hangs) {
        if (way !== "proxy" && scheme === "wss") continue

        // Each attempt left a socket behind, past `maxConnections`, and past the end of the pool.
        it.live(`when it ${name} (${scheme}:) never has more than maxConnections, and none after the end`, () =>
          Effect.gen(function* () {
            const proxy = yield* serve
            const { sockets } = yield* clientSockets
            const program = repeated(Effect.exit(Effect.scoped(WebSocketPool.get)), 1)
            const layer = poolOf(`${scheme}://server.test`, options(proxy.port), {
              maxConnections: 1,
              connectTimeout: "60 millis",
              retry: Schedule.recurs(1)
            })
            const exit = yield* Effect.provide(program, layer)
            assert.isTrue(Exit.isFailure(exit))
            // Gone here, not only soon: a proxy may hear of it later.
            assert.isAtLeast(sockets.length, 4)
            assert.isTrue(sockets.every(({ closed }) => closed))
            yield* until(() => proxy.sockets.size === 0)
            assert.isAtMost(proxy.peak(), 1)
          })
        )

        it.live(`when it ${name} (${scheme}:) leaves nothing of an interrupted get`, () =>
          Effect.gen(function* () {
            const proxy = yield* serve
            const { sockets } = yield* clientSockets
            const layer = poolOf(`${scheme}://server.test`, options(proxy.port), { maxConnections: 3 })
            const fiber = yield* Effect.forkChild(Effect.provide(Effect.scoped(WebSocketPool.get), layer))
            yield* until(() => proxy.sockets.size === 1)
            yield* turns(3)
            yield* Fiber.interrupt(fiber)
            assert.isTrue(sockets.every(({ closed }) => closed))
            yield* until(() => proxy.sockets.size === 0)
          })
        )
      }
    })
  }

  describe("an agent's own", () => {
    it.live("tunnel works, and what happens on its connection is nobody's attempt", () =>
      Effect.gen(function* () {
        const server = yield* echoServer
        const proxy = yield* proxyServer()
        const agent = new TunnelAgent(proxy.port, true)
        const program = WebSocketPool.use((connection) =>
          Effect.gen(function* () {
            assert.strictEqual(yield* ask(connection), "hello")
            // This runs in what the connection has woken up.
            const other = netConnect({ port: server.port, host: "127.0.0.1" })
            other.on("error", () => {})
            return other
          })
        )
        const other = yield* Effect.provide(program, poolOf(address(server, "ws"), { agent }))
        yield* until(() => !other.connecting)
        assert.isFalse(other.destroyed)
        other.destroy()
      })
    )

    for (const [name, answer] of [
      ["failure", (near) => near.destroy()],
      ["timeout", silence]
    ] as ReadonlyArray<readonly [string, Answer]>) {
      it.live(`${name} does not concern what the program opens next`, () =>
        Effect.gen(function* () {
          const server = yield* echoServer
          const proxy = yield* proxyServer(answer)
          const agent = new TunnelAgent(proxy.port, false)
          const program = Effect.gen(function* () {
            yield* Effect.flip(WebSocketPool.use(ask))
            const other = netConnect({ port: server.port, host: "127.0.0.1" })
            other.on("error", () => {})
            yield* until(() => !other.connecting)
            yield* turns(20)
            assert.isFalse(other.destroyed)
            other.destroy()
          })
          yield* Effect.provide(program, poolOf("ws://server.test", { agent }, { connectTimeout: "60 millis" }))
        })
      )
    }

    it.live("socket is destroyed at once when the agent opens it after the attempt is over", () =>
      Effect.gen(function* () {
        const proxy = yield* proxyServer(silence)
        const { sockets } = yield* clientSockets
        let open = (): void => {}
        const agent = Object.assign(new Agent(), {
          createConnection: (_: ClientRequestArgs, done: (error: Error | null, socket: Duplex) => void): undefined => {
            // In the request's async context, as after an `await`.
            const resource = new AsyncResource("test")
            open = () =>
              resource.runInAsyncScope(() => {
                const socket = netConnect({ port: proxy.port, host: "127.0.0.1" })
                socket.on("error", (error) => done(error, socket))
              })
          }
        })
        const layer = poolOf("ws://server.test", { agent })
        const fiber = yield* Effect.forkChild(Effect.provide(Effect.scoped(WebSocketPool.get), layer))
        yield* turns(20)
        assert.isEmpty(sockets)
        yield* Fiber.interrupt(fiber)
        open()
        assert.strictEqual(sockets.length, 1)
        yield* until(() => sockets[0]!.closed)
        yield* until(() => proxy.sockets.size === 0)
      })
    )

    const http: Effect.Effect<Listening, never, Scope.Scope> = tcpServer(
      httpAnswer((socket, head) => {
        const answer = head.startsWith("GET /slow") ? "" : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        if (head.toLowerCase().includes("upgrade: websocket")) return
        const serveOn = httpAnswer((next) => next.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
        serveOn(socket)
        socket.write(answer)
      })
    )

    const fetchWith = (agent: Agent, { port }: Listening, path: string) =>
      Effect.callback<Socket, Error>((resume) => {
        const request = get({ agent, port, host: "127.0.0.1", path }, (response) => {
          const { socket } = response
          response.resume().on("end", () => resume(Effect.succeed(socket)))
        })
        request.on("error", (error) => resume(Effect.fail(error)))
      })

    it.live("pool keeps its idle sockets, and those that serve other requests", () =>
      Effect.gen(function* () {
        const server = yield* http
        const agent = new Agent({ keepAlive: true })
        yield* Effect.addFinalizer(() => Effect.sync(() => agent.destroy()))
        const slow = yield* Effect.forkChild(fetchWith(agent, server, "/slow"))
        yield* until(() => server.sockets.size === 1)
        const idle = yield* fetchWith(agent, server, "/")
        assert.strictEqual(server.sockets.size, 2)
        // It takes the idle one, and hangs on it; the next attempt has to open its own.
        const layer = poolOf(
          address(server, "ws"),
          { agent },
          { connectTimeout: "60 millis", retry: Schedule.recurs(1) }
        )
        const error = yield* Effect.flip(Effect.provide(Effect.scoped(WebSocketPool.get), layer))
        assert.strictEqual(error._tag, "ConnectionUnavailableError")
        assert.isTrue(idle.closed)
        yield* until(() => server.sockets.size === 1)
        assert.isUndefined(poll(slow))
        yield* Fiber.interrupt(slow)
      })
    )

    it.live("queue is served when an attempt makes room in it", () =>
      Effect.gen(function* () {
        const server = yield* http
        const agent = new Agent({ keepAlive: true, maxSockets: 1 })
        yield* Effect.addFinalizer(() => Effect.sync(() => agent.destroy()))
        const layer = poolOf(address(server, "ws"), { agent }, { connectTimeout: "100 millis" })
        const attempt = yield* Effect.forkChild(Effect.flip(Effect.provide(Effect.scoped(WebSocketPool.get), layer)))
        yield* until(() => server.sockets.size === 1)
        const other = yield* fetchWith(agent, server, "/")
        assert.strictEqual((yield* Fiber.join(attempt))._tag, "ConnectionUnavailableError")
        yield* turns(20)
        assert.isFalse(other.destroyed)
      })
    )
  })

  it.live("counts as one connection while addresses of it are tried, and the losers are gone", () =>
    Effect.gen(function* () {
      const server = yield* echoServer
      const proxy = yield* proxyServer(tunnelTo(() => server.port))
      const lookup: Options["lookup"] = (_, __, callback) =>
        callback(null, [
          { address: "127.0.0.2", family: 4 },
          { address: "127.0.0.1", family: 4 }
        ])
      const options = { proxy: `http://proxy.test:${proxy.port}`, lookup }
      assert.strictEqual(yield* exchange("ws://server.test", options), "hello")
      assert.strictEqual(proxy.heads.length, 1)
    })
  )
})
