import { spawn } from "node:child_process"
import type { IncomingMessage } from "node:http"
import { fileURLToPath } from "node:url"
import { type PoolEvent, WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool, type NodeWebSocketTransport } from "effect-websocket-pool/node"
import type { ServerOptions, WebSocket } from "ws"
import * as Config from "#effect/Config"
import * as Deferred from "#effect/Deferred"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Option from "#effect/Option"
import * as Random from "#effect/Random"
import * as Redacted from "#effect/Redacted"
import * as Schedule from "#effect/Schedule"
import * as Stream from "#effect/Stream"
import { seeded, withConfig } from "#support/fibers"
import { recordLines } from "#support/telemetry"
import { assert, describe, it } from "#support/vitest"
import {
  acceptance,
  httpAnswer,
  type Listening,
  type OnConnection,
  tcpServer,
  tls,
  wsServer,
  wssServer
} from "../fixtures/servers.js"
import { say, silent, site, turns, until, untilStats } from "../support/faults.js"
import { nodePool } from "../support/ownFrames.js"

const MiB = 1024 * 1024

const urlOf = ({ port }: Listening, scheme = "ws"): string => `${scheme}://127.0.0.1:${port}/`

const echo: OnConnection = (peer) => {
  peer.on("message", (data: Buffer, isBinary) => peer.send(data, { binary: isBinary }))
}

const withPool =
  (options: WebSocketPool.Options) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provide(effect, nodePool(options))

const withTransport =
  (options: WebSocketPool.Options, transport: NodeWebSocketTransport.Options) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provide(effect, nodePool(options, transport))

const connected = WebSocketPool.use(() => Effect.succeed("connected"))

/** Everything that happens, in an array that grows. */
const recorded = Effect.gen(function* () {
  const events: Array<PoolEvent.PoolEvent> = []
  yield* Effect.forkScoped(
    Stream.runForEach(WebSocketPool.events, (event) => Effect.sync(() => void events.push(event)))
  )
  yield* turns(1)
  return events
})

/** Answers the first upgrades with these statuses, and records every request. */
const picky = (statuses: ReadonlyArray<number>) => {
  const requests: Array<IncomingMessage> = []
  const options: ServerOptions = {
    verifyClient: ({ req }, callback) => {
      const status = statuses[requests.push(req) - 1]
      callback(status === undefined, status)
    }
  }
  return Effect.map(wsServer(echo, options), (server) => ({ url: urlOf(server), requests }))
}

describe("messages", () => {
  it.live("come back as they went: text, binary, empty", () =>
    Effect.gen(function* () {
      const server = yield* wsServer(echo)
      const messages = ["Grüße 👋", "", new Uint8Array([0, 255, 1]), new Uint8Array(0), "x".repeat(100_000)]
      const replies = yield* WebSocketPool.use((connection) =>
        Effect.forEach(messages, (message) => Effect.andThen(connection.send(message), connection.receive))
      ).pipe(withPool({ url: urlOf(server) }))
      assert.deepStrictEqual(replies, messages)
      for (const reply of replies) assert.isFalse(Buffer.isBuffer(reply))
    })
  )

  it.live("are put together from fragments", () =>
    Effect.gen(function* () {
      const server = yield* wsServer((peer) => {
        for (const data of ["a", "b", "c"]) peer.send(data, { fin: data === "c" })
        for (const data of [1, 2, 3]) peer.send(new Uint8Array([data]), { fin: data === 3 })
      })
      const messages = yield* WebSocketPool.use((connection) =>
        Stream.runCollect(Stream.take(connection.messages, 2))
      ).pipe(withPool({ url: urlOf(server) }))
      assert.deepStrictEqual(Array.from(messages), ["abc", new Uint8Array([1, 2, 3])])
    })
  )

  it.live("may have 16 MiB, and one byte more closes with 1009", () =>
    Effect.gen(function* () {
      const codes: Array<number> = []
      const server = yield* wsServer((peer, request) => {
        echo(peer, request)
        peer.on("close", (code) => codes.push(code))
      })
      const largest = new Uint8Array(16 * MiB).map((_, index) => index % 251)
      yield* Effect.gen(function* () {
        const reply = yield* WebSocketPool.use((connection) =>
          Effect.andThen(connection.send(largest), connection.receive)
        )
        assert.strictEqual(Buffer.compare(Buffer.from(reply as Uint8Array), largest), 0)
        const error = yield* Effect.flip(
          WebSocketPool.use((connection) =>
            Effect.andThen(connection.send(new Uint8Array(16 * MiB + 1)), connection.receive)
          )
        )
        assert.deepInclude(error, { _tag: "ConnectionClosedError", code: 1009, initiator: "Local" })
        yield* until(() => codes.length > 0)
        assert.deepStrictEqual(codes, [1009])
      }).pipe(withPool({ url: urlOf(server) }))
    })
  )

  it.live("are bounded by maxPayload after they have been inflated", () =>
    Effect.gen(function* () {
      let written = 0
      const server = yield* wsServer(
        (peer, { socket }) => {
          const before = socket.bytesWritten
          peer.send(new Uint8Array(MiB), () => {
            written = socket.bytesWritten - before
          })
        },
        { perMessageDeflate: true }
      )
      const receive = (maxPayload: number) =>
        WebSocketPool.use((connection) => connection.receive).pipe(
          withTransport({ url: urlOf(server), maxPayload }, { perMessageDeflate: true })
        )
      assert.deepStrictEqual(yield* receive(MiB), new Uint8Array(MiB))
      assert.isBelow(written, MiB / 100)
      assert.isAbove(written, 0)
      assert.deepInclude(yield* Effect.flip(receive(MiB - 1)), {
        _tag: "ConnectionClosedError",
        code: 1009,
        initiator: "Local"
      })
    })
  )
})

describe("the handshake", () => {
  it.live("negotiates a subprotocol", () =>
    Effect.gen(function* () {
      const server = yield* wsServer(echo, { handleProtocols: (offered) => [...offered].at(-1) ?? false })
      const protocol = yield* WebSocketPool.use((connection) => Effect.succeed(connection.protocol)).pipe(
        withPool({ url: urlOf(server), protocols: ["chat.v1", "chat.v2"] })
      )
      assert.strictEqual(protocol, "chat.v2")
    })
  )

  it.live("fails, and is not tried again, when the server takes no subprotocol", () =>
    Effect.gen(function* () {
      const server = yield* wsServer(echo, { handleProtocols: () => false })
      const error = yield* Effect.flip(connected.pipe(withPool({ url: urlOf(server), protocols: "chat.v1" })))
      assert.deepInclude(error, { _tag: "ConnectionUnavailableError", reason: "Handshake", attempts: 1 })
      assert.deepInclude(error, { status: undefined, isRetryable: false })
    })
  )

  it.live("computes headers and url anew for each attempt", () =>
    Effect.gen(function* () {
      const { requests, url } = yield* picky([503, 429])
      let attempts = 0
      yield* connected.pipe(
        withPool({
          url: Effect.sync(() => `${url}${++attempts}`),
          headers: Effect.sync(() => ({ authorization: Redacted.make(`Bearer ${attempts}`), "x-plain": "yes" })),
          retry: Schedule.recurs(2)
        })
      )
      const seen = requests.map(({ headers, url }) => [url, headers.authorization, headers["x-plain"]])
      assert.deepStrictEqual(seen, [
        ["/1", "Bearer 1", "yes"],
        ["/2", "Bearer 2", "yes"],
        ["/3", "Bearer 3", "yes"]
      ])
    })
  )

  for (const status of [401, 404]) {
    it.live(`that is refused with ${status} is not tried again`, () =>
      Effect.gen(function* () {
        const { requests, url } = yield* picky([status, status])
        const error = yield* Effect.flip(connected.pipe(withPool({ url })))
        assert.deepInclude(error, { _tag: "ConnectionUnavailableError", reason: "Handshake", status, attempts: 1 })
        assert.deepInclude(error, { url, isRetryable: false })
        assert.strictEqual(requests.length, 1)
      })
    )
  }

  it.live("that is refused with 429 once is tried again, by default", () =>
    Effect.gen(function* () {
      const { requests, url } = yield* picky([429])
      yield* Effect.gen(function* () {
        const events = yield* recorded
        assert.strictEqual(yield* connected, "connected")
        yield* until(() => events.length === 4)
        assert.deepStrictEqual(
          events.map(({ _tag }) => _tag),
          ["ConnectFailed", "ConnectionOpened", "Acquired", "Released"]
        )
        assert.deepInclude(events[1], { attempts: 2 })
      }).pipe(Effect.scoped, withPool({ url }))
      assert.strictEqual(requests.length, 2)
    })
  )

  it.live("that is refused with 503 is tried three times again, by default", () =>
    Effect.gen(function* () {
      const { requests, url } = yield* picky(Array<number>(10).fill(503))
      const error = yield* Effect.flip(connected.pipe(withPool({ url })))
      assert.deepInclude(error, { _tag: "ConnectionUnavailableError", status: 503, attempts: 4, isRetryable: true })
      assert.strictEqual(requests.length, 4)
    })
  )

  it.live("that is refused with Retry-After holds the others off, though some have opened right before", () =>
    Effect.gen(function* () {
      const answers: Array<(isAccepted: boolean) => void> = []
      const refusal = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"
      const server = yield* tcpServer(
        httpAnswer((socket, head) => {
          answers.push((isAccepted) => socket.write(isAccepted ? acceptance(head) : refusal))
        })
      )
      yield* Effect.gen(function* () {
        const pool = yield* WebSocketPool.WebSocketPool
        yield* until(() => answers.length === 4)
        // All arrive in one turn of the event loop.
        for (const [index, answer] of answers.entries()) answer(index < 2)
        yield* untilStats(pool, ({ connectFailures, idle }) => idle === 2 && connectFailures === 2)
        yield* turns(50)
        assert.strictEqual(answers.length, 4)
      }).pipe(withPool({ url: urlOf(server), minConnections: 4, retry: Schedule.recurs(3), closeTimeout: "50 millis" }))
    })
  )

  it.live("does not wait for ever for a silent port", () =>
    Effect.gen(function* () {
      const server = yield* site(silent)
      const error = yield* Effect.flip(
        connected.pipe(withPool({ url: server.url, connectTimeout: "100 millis", retry: Schedule.recurs(1) }))
      )
      assert.deepInclude(error, { _tag: "ConnectionUnavailableError", reason: "Timeout", attempts: 2 })
      yield* until(() => server.sockets.size === 0)
    })
  )

  it.live("fails at once at a port that refuses", () =>
    Effect.gen(function* () {
      const server = yield* site()
      yield* server.stop
      const error = yield* Effect.flip(connected.pipe(withPool({ url: server.url, retry: Schedule.recurs(0) })))
      assert.deepInclude(error, { _tag: "ConnectionUnavailableError", reason: "Network", isRetryable: true })
      assert.strictEqual((error as { cause: { code?: string } }).cause.code, "ECONNREFUSED")
    })
  )

  it.live("trusts a private authority, and no other", () =>
    Effect.gen(function* () {
      const server = yield* wssServer(echo)
      const url = urlOf(server, "wss")
      const reply = yield* WebSocketPool.use((connection) =>
        Effect.andThen(connection.send("secret"), connection.receive)
      ).pipe(withTransport({ url }, { ca: tls.ca }))
      assert.strictEqual(reply, "secret")
      for (const transport of [{ ca: tls.otherCa }, {}]) {
        const error = yield* Effect.flip(connected.pipe(withTransport({ url }, transport)))
        assert.deepInclude(error, { _tag: "ConnectionUnavailableError", reason: "Tls", attempts: 1, url })
      }
      yield* until(() => server.sockets.size === 0)
    })
  )
})

describe("maxConnections", () => {
  it.live("is never exceeded at the server, whatever the holders do", () =>
    Effect.gen(function* () {
      const server = yield* site()
      const maxConnections = 6
      const stats = yield* Effect.gen(function* () {
        const pool = yield* WebSocketPool.WebSocketPool
        const work = (fiber: number) =>
          Effect.gen(function* () {
            for (let request = 0; request < 20; request++) {
              const text = `${fiber}.${request}`
              const lease = (fiber + request) % 3 === 0 ? pool.useNew : pool.use
              const reply = yield* lease((connection) =>
                Effect.gen(function* () {
                  yield* connection.send(text)
                  const reply = yield* connection.receive
                  if ((fiber + request) % 5 === 0) yield* connection.discard
                  if ((fiber + request) % 7 === 0) yield* connection.close(4001, "enough")
                  return reply
                })
              )
              assert.strictEqual(reply, text)
              if ((fiber * 20 + request) % 97 === 0) yield* pool.refresh
            }
          })
        const watcher = yield* Effect.forkChild(
          Effect.forever(
            Effect.tap(
              Effect.tap(pool.stats, () => turns(1)),
              (stats) =>
                Effect.sync(() => {
                  const { busy, closing, connecting, draining, idle, total } = stats
                  assert.strictEqual(total, busy + closing + connecting + draining + idle)
                  assert.isAtMost(total, maxConnections)
                })
            )
          )
        )
        const workers = Effect.forEach(
          Array.from({ length: 24 }, (_, fiber) => fiber),
          work,
          { concurrency: "unbounded", discard: true }
        )
        yield* Effect.raceFirst(workers, Fiber.join(watcher))
        yield* Fiber.interrupt(watcher)
        return yield* pool.stats
      }).pipe(withPool({ url: server.url, maxConnections }))
      assert.strictEqual(stats.acquired, 480)
      assert.strictEqual(stats.released, 480)
      assert.isAtLeast(stats.opened, 160)
      assert.isAtMost(server.peak(), maxConnections)
      assert.isAtLeast(server.peak(), maxConnections - 1)
      assert.isAtLeast(server.accepted(), stats.opened)
      yield* until(() => server.sockets.size === 0)
    })
  )
})

describe("replies", () => {
  it.live("belong to their requests, though others are interrupted at any moment", () =>
    Effect.gen(function* () {
      let late = 0
      const server = yield* wsServer((peer) => {
        peer.on("message", (data: Buffer) => {
          const reply = data.toString()
          // Some come after their lease has long been interrupted.
          if (late++ % 3 === 0) setTimeout(() => peer.send(reply), late % 8)
          else peer.send(reply)
        })
      })
      let completed = 0
      let interrupted = 0
      const stats = yield* Effect.gen(function* () {
        const work = (fiber: number) =>
          Effect.gen(function* () {
            for (let request = 0; request < 60; request++) {
              const text = `${fiber}.${request}`
              const exchange = WebSocketPool.use((connection) =>
                Effect.andThen(connection.send(text), connection.receive)
              )
              // On a slow machine nobody else may get a reply.
              const patience = request % 4 === 0 ? "1 minute" : yield* Random.nextIntBetween(0, 25)
              const outcome = yield* Effect.timeoutOption(exchange, patience)
              if (Option.isNone(outcome)) interrupted += 1
              else {
                assert.strictEqual(outcome.value, text)
                completed += 1
              }
            }
          })
        yield* Effect.forEach(
          Array.from({ length: 16 }, (_, fiber) => fiber),
          work,
          { concurrency: "unbounded", discard: true }
        )
        const pool = yield* WebSocketPool.WebSocketPool
        // Nothing has leaked: what remains is whole, and works.
        yield* untilStats(pool, (stats) => stats.connecting + stats.closing + stats.busy === 0)
        yield* say(pool, "at last")
        return yield* pool.stats
      }).pipe(withPool({ url: urlOf(server), maxConnections: 8 }))
      assert.strictEqual(completed + interrupted, 960)
      assert.isAbove(completed, 0)
      assert.isAbove(interrupted, 0)
      assert.strictEqual(stats.acquired, stats.released)
      assert.strictEqual(stats.waiting, 0)
      yield* until(() => server.sockets.size === 0)
    }).pipe(seeded("replies"))
  )
})

describe("drain", () => {
  const sendLate = (peer: WebSocket) => {
    for (let i = 0; i < 500; i++) peer.send(`late ${i} ${"x".repeat(1000)}`)
  }

  /** Answers, and goes on talking, unless it is asked to be quiet. */
  const chatty: OnConnection = (peer) => {
    peer.on("message", (data: Buffer) => {
      const text = data.toString()
      peer.send(text)
      if (!text.startsWith("quiet")) setImmediate(() => sendLate(peer))
    })
  }

  it.live("keeps a connection, and drops what comes late", () =>
    Effect.gen(function* () {
      const server = yield* wsServer(chatty)
      yield* Effect.gen(function* () {
        const pool = yield* WebSocketPool.WebSocketPool
        const events = yield* recorded
        const first = yield* say(pool, "hello")
        const second = yield* say(pool, "quiet, please")
        assert.strictEqual(second, first)
        const stats = yield* untilStats(pool, (stats) => stats.idle === 1)
        assert.strictEqual(stats.messagesDropped, 500)
        assert.strictEqual(stats.opened, 1)
        const drained = () => events.flatMap((event) => (event._tag === "DrainCompleted" ? [event.dropped] : []))
        while (drained().length < 2) yield* turns(1)
        assert.deepStrictEqual(drained(), [500, 0])
      }).pipe(
        Effect.scoped,
        withPool({ url: urlOf(server), maxConnections: 1, drain: { quietPeriod: "100 millis", timeout: "1 minute" } })
      )
    })
  )

  it.live("does not take a program that was held up for a line that was quiet", () =>
    Effect.gen(function* () {
      const peers: Array<WebSocket> = []
      const server = yield* wsServer((peer, request) => {
        peers.push(peer)
        echo(peer, request)
      })
      const holdUp = (millis: number) => {
        const end = performance.now() + millis
        while (performance.now() < end);
      }
      yield* Effect.gen(function* () {
        const pool = yield* WebSocketPool.WebSocketPool
        const first = yield* say(pool, "hello")
        yield* turns(2)
        // Late messages arrive, but for longer than quietPeriod nobody has the time to look.
        yield* Effect.sync(() => {
          for (const peer of peers) sendLate(peer)
          holdUp(200)
        })
        const second = yield* say(pool, "hello again")
        assert.strictEqual(second, first)
        const stats = yield* pool.stats
        assert.strictEqual(stats.messagesDropped, 500)
      }).pipe(
        withPool({ url: urlOf(server), maxConnections: 1, drain: { quietPeriod: "100 millis", timeout: "1 minute" } })
      )
    })
  )

  it.live("when off, costs the connection", () =>
    Effect.gen(function* () {
      const server = yield* wsServer(chatty)
      yield* Effect.gen(function* () {
        const pool = yield* WebSocketPool.WebSocketPool
        const events = yield* recorded
        const first = yield* say(pool, "hello")
        yield* untilStats(pool, (stats) => stats.total === 0)
        const second = yield* say(pool, "quiet, please")
        assert.notStrictEqual(second, first)
        const closed = events.find(({ _tag }) => _tag === "ConnectionClosed")
        assert.deepInclude(closed, { connectionId: first, reason: "Dirty", code: 1000 })
      }).pipe(Effect.scoped, withPool({ url: urlOf(server), maxConnections: 1 }))
    })
  )
})

describe("an unread message", () => {
  it.live("never reaches the next lease: without drain it costs the connection", () =>
    Effect.gen(function* () {
      const server = yield* wsServer((peer) => {
        peer.on("message", (data: Buffer) => {
          peer.send(data.toString())
          if (data.toString() === "twice") peer.send("unread")
        })
      })
      yield* Effect.gen(function* () {
        const pool = yield* WebSocketPool.WebSocketPool
        const first = yield* pool.use((connection) =>
          Effect.gen(function* () {
            yield* connection.send("twice")
            assert.strictEqual(yield* connection.receive, "twice")
            yield* until(() => Effect.runSync(connection.info).messagesReceived === 2)
            return connection.id
          })
        )
        assert.notStrictEqual(yield* say(pool, "hello"), first)
        assert.deepInclude(yield* pool.stats, { messagesDropped: 1, opened: 2, discarded: 0 })
      }).pipe(withPool({ url: urlOf(server), maxConnections: 1 }))
    })
  )
})

describe("layerConfig", () => {
  const config = {
    url: Config.Redacted("URL"),
    headers: { authorization: Config.Redacted("TOKEN"), "x-plain": Config.String("PLAIN") },
    maxConnections: Config.Int("MAX"),
    minConnections: undefined,
    acquireTimeout: Config.Duration("TIMEOUT"),
    drain: { quietPeriod: Config.Duration("QUIET") },
    onConnect: Config.succeed((connection: { readonly send: (text: string) => Effect.Effect<void, unknown> }) =>
      connection.send("logged in")
    )
  } satisfies WebSocketPool.OptionsConfig

  const provided =
    (values: Record<string, string>) =>
    <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      effect.pipe(Effect.provide(NodeWebSocketPool.layerConfig(config)), withConfig(values))

  const values = { TOKEN: "Bearer 123", PLAIN: "yes", MAX: "3", TIMEOUT: "2 seconds", QUIET: "0 millis" }

  it.live("takes its options from the ConfigProvider", () =>
    Effect.gen(function* () {
      const requests: Array<IncomingMessage> = []
      const messages: Array<string> = []
      const server = yield* wsServer((peer, request) => {
        requests.push(request)
        peer.on("message", (data: Buffer) => messages.push(data.toString()))
      })
      const stats = yield* Effect.andThen(connected, WebSocketPool.stats).pipe(
        provided({ ...values, URL: urlOf(server) })
      )
      assert.deepInclude(stats, { maxConnections: 3, minConnections: 0, acquired: 1 })
      assert.deepInclude(requests[0]?.headers, { authorization: "Bearer 123", "x-plain": "yes" })
      assert.deepStrictEqual(messages, ["logged in"])
    })
  )

  it.live("fails with a ConfigError that names what is missing, and all that is bad", () =>
    Effect.gen(function* () {
      const missing = yield* Effect.flip(connected.pipe(provided(values)))
      assert.include(String(missing), "URL")
      const bad = yield* Effect.flip(
        connected.pipe(provided({ ...values, URL: "http://user:hidden@127.0.0.1/?token=hidden", MAX: "0" }))
      )
      assert.include(String(bad), "url")
      assert.include(String(bad), "maxConnections")
      assert.notInclude(String(bad), "hidden")
    })
  )
})

describe("closing", () => {
  const exchange = Effect.gen(function* () {
    const connection = yield* WebSocketPool.get
    yield* connection.send("hello")
    assert.strictEqual(yield* connection.receive, "hello")
    return connection
  })

  it.live("waits for nobody when Effect.scoped is inside of Effect.provide", () =>
    Effect.gen(function* () {
      const codes: Array<number> = []
      const server = yield* wsServer((peer, request) => {
        echo(peer, request)
        peer.on("close", (code) => codes.push(code))
      })
      const { layer, lines } = recordLines()
      // An hour would show.
      const layerOptions = { url: urlOf(server), shutdownTimeout: "1 hour", closeTimeout: "1 hour" } as const
      const connection = yield* exchange.pipe(Effect.scoped, withPool(layerOptions), Effect.provide(layer))
      assert.deepInclude(yield* Effect.flip(connection.send("too late")), {
        _tag: "ConnectionBusyError",
        reason: "Released"
      })
      yield* until(() => server.sockets.size === 0)
      assert.deepStrictEqual(codes, [1001])
      assert.deepStrictEqual(lines, [])
    })
  )

  it.live("takes all of shutdownTimeout, and warns, when it is the other way round", () =>
    Effect.gen(function* () {
      const server = yield* wsServer(echo)
      const { layer, lines } = recordLines()
      const [elapsed, connection] = yield* exchange.pipe(
        withPool({ url: urlOf(server), name: "mine", shutdownTimeout: "300 millis", closeTimeout: "1 hour" }),
        Effect.timed,
        Effect.provide(layer)
      )
      assert.isAtLeast(Duration.toMillis(elapsed), 295)
      for (const operation of [connection.send("too late"), connection.receive, connection.ping]) {
        assert.deepInclude(yield* Effect.flip<unknown, unknown, never>(operation), {
          _tag: "ConnectionClosedError",
          code: 1001,
          initiator: "Pool"
        })
      }
      yield* until(() => server.sockets.size === 0)
      assert.lengthOf(lines, 1)
      assert.deepInclude(lines[0], { level: "WARN", annotations: { pool: "mine" } })
      assert.include(lines[0]?.message, "shutdownTimeout")
    }).pipe(Effect.scoped)
  )

  it.live("fails those who wait, and gives up what is being opened", () =>
    Effect.gen(function* () {
      const server = yield* site(silent)
      const { fiber } = yield* Effect.gen(function* () {
        const pool = yield* WebSocketPool.WebSocketPool
        const fiber = yield* Effect.forkDetach(Effect.flip(Effect.scoped(pool.get)))
        yield* until(() => server.sockets.size === 1)
        return { fiber }
      }).pipe(withPool({ url: server.url, name: "mine" }))
      const outcome = yield* Fiber.join(fiber)
      assert.deepInclude(outcome, { _tag: "PoolClosedError", pool: "mine" })
      yield* until(() => server.sockets.size === 0)
    })
  )

  it.live("leaves nothing that keeps the process alive", () =>
    Effect.gen(function* () {
      const server = yield* site()
      const mute = yield* site(silent)
      const script = fileURLToPath(new URL("../fixtures/alive.ts", import.meta.url))
      const output: Array<string> = []
      const child = spawn(process.execPath, ["--import", "tsx", script, server.url, mute.url], {
        stdio: ["ignore", "pipe", "pipe"]
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => child.kill("SIGKILL")))
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (chunk: Buffer) => output.push(String(chunk)))
      const ended = yield* Deferred.make<number | null>()
      child.on("close", (code) => Deferred.doneUnsafe(ended, Effect.succeed(code)))
      const code = yield* Deferred.await(ended)
      assert.deepStrictEqual([code, output.join("")], [0, "hello,ConnectionUnavailableError"])
      assert.isAtLeast(server.accepted(), 3)
      yield* until(() => server.sockets.size + mute.sockets.size === 0)
    })
  )
})
