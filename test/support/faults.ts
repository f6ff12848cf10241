/**
 * What can go wrong between a pool and its server, each fault by name: real sockets on 127.0.0.1, closed with
 * the scope that opened them, and a way to make a pool meet each of them and get over it.
 */
import { createServer as createHttpServer } from "node:http"
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"
import { createServer as createTlsServer } from "node:tls"
import { type PoolError, type PoolEvent, type WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
import type { NodeWebSocketTransport } from "effect-websocket-pool/node"
import { type WebSocket, WebSocketServer } from "ws"
import * as Context from "#effect/Context"
import * as Deferred from "#effect/Deferred"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Schedule from "#effect/Schedule"
import * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import { repeated } from "#support/fibers"
import { acceptance, frame, httpAnswer, tls, upgraded } from "../fixtures/servers.js"
import { nodePool } from "./ownFrames.js"

type Pool = WebSocketPool.WebSocketPool
type Connection = WebSocketConnection.WebSocketConnection

/** Waits for what is bound to happen; the test's own timeout ends it otherwise. */
export const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const timer = setInterval(() => {
      if (!condition()) return
      clearInterval(timer)
      resume(Effect.void)
    }, 1)
    return Effect.sync(() => clearInterval(timer))
  })

export const untilStats = (
  pool: Pool,
  condition: (stats: WebSocketPool.PoolStats) => boolean
): Effect.Effect<WebSocketPool.PoolStats> =>
  Effect.gen(function* () {
    let stats = yield* pool.stats
    yield* until(() => {
      stats = Effect.runSync(pool.stats)
      return condition(stats)
    })
    return stats
  })

/** Lets everything that is ready to happen on the event loop happen. */
export const turns = (n: number): Effect.Effect<void> =>
  repeated(
    Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void))),
    n
  )

// Servers

/** What a server does with a connection. */
export type Behaviour = (socket: Socket) => void

/** A server whose behaviour can change, and that can stop and come back on its port. */
export interface Site {
  readonly url: string
  readonly port: number
  /** The connections that are open now. */
  readonly sockets: ReadonlySet<Socket>
  /** How many connections have been accepted, and the most that were open at once. */
  readonly accepted: () => number
  readonly peak: () => number
  /** What is done with connections from now on. */
  readonly behave: (behaviour: Behaviour) => void
  /** From now on it is a healthy echo server. */
  readonly heal: Effect.Effect<void>
  /** Stops listening and resets every connection. */
  readonly stop: Effect.Effect<void>
  /** Listens again, on the same port. */
  readonly start: Effect.Effect<void>
  /** Resets every connection. */
  readonly reset: Effect.Effect<void>
  /** Nothing more gets through on the connections there are, in either direction, not even their end. */
  readonly freeze: Effect.Effect<void>
  /** Ends `freeze`, and makes every server that has stopped reading read again. */
  readonly thaw: Effect.Effect<void>
}

interface Pem {
  readonly cert: string
  readonly key: string
}

interface Line {
  readonly near: Socket
  readonly far: Socket
}

const listening = (server: Server, port: number): Effect.Effect<number> =>
  Effect.callback<number>((resume) => {
    const tryAgain = () => void server.listen(port, "127.0.0.1")
    // While the port was free, the system may have lent it to an outgoing connection of another test.
    const onError = () => void setTimeout(tryAgain, 10)
    server.on("error", onError)
    server.once("listening", () => {
      server.off("error", onError)
      resume(Effect.sync(() => (server.address() as AddressInfo).port))
    })
    tryAgain()
  })

const makeSite = (
  scheme: "ws" | "wss",
  initial: Behaviour,
  healed: Behaviour,
  lines: ReadonlySet<Line> = new Set()
): Effect.Effect<Site, never, Scope.Scope> =>
  Effect.gen(function* () {
    const sockets = new Set<Socket>()
    let behaviour = initial
    let accepted = 0
    let open = 0
    let peak = 0

    const server = createServer({ noDelay: true })
    server.on("connection", (socket: Socket) => {
      accepted += 1
      open += 1
      peak = Math.max(peak, open)
      sockets.add(socket)
      // The end of the client's side is the end: its socket is gone when the next one is opened. The server's
      // own may be closed a moment later.
      let isOver = false
      const over = () => {
        if (!isOver) open -= 1
        isOver = true
      }
      socket.on("end", over)
      socket.on("error", over)
      socket.on("close", () => {
        over()
        sockets.delete(socket)
      })
      behaviour(socket)
    })

    const reset = Effect.sync(() => {
      for (const socket of sockets) socket.resetAndDestroy()
    })
    const stop = Effect.andThen(
      reset,
      Effect.callback<void>((resume) => {
        if (server.listening) server.close(() => resume(Effect.void))
        else resume(Effect.void)
      })
    )
    const port = yield* Effect.acquireRelease(listening(server, 0), () => stop)
    const start = Effect.suspend(() => (server.listening ? Effect.void : Effect.asVoid(listening(server, port))))

    return {
      url: `${scheme}://127.0.0.1:${port}/`,
      port,
      sockets,
      accepted: () => accepted,
      peak: () => peak,
      behave: (next) => {
        behaviour = next
      },
      heal: Effect.suspend(() => {
        behaviour = healed
        return start
      }),
      stop,
      start,
      reset,
      freeze: Effect.sync(() => {
        for (const { far, near } of lines) {
          near.unpipe(far).pause()
          far.unpipe(near).pause()
        }
      }),
      thaw: Effect.sync(() => {
        for (const { far, near } of lines) {
          near.pipe(far)
          far.pipe(near)
        }
        for (const socket of sockets) socket.resume()
      })
    }
  })

/** A server on a port of its own. Without a behaviour it is the echo server. */
export const site = (behaviour?: Behaviour): Effect.Effect<Site, never, Scope.Scope> =>
  Effect.suspend(() => {
    const echo = makeEcho()
    return makeSite("ws", behaviour ?? echo, echo)
  })

/** A server for `wss:`. When it is healed it is an echo server with a good certificate. */
export const secureSite = (behaviour: Behaviour): Effect.Effect<Site, never, Scope.Scope> =>
  Effect.suspend(() => makeSite("wss", behaviour, withTls(certificates.valid)))

const withTls = (pem: Pem): Behaviour => {
  const echo = makeEcho()
  const server = createTlsServer(pem, (socket) => {
    socket.on("error", () => {})
    echo(socket)
  })
  server.on("tlsClientError", () => {})
  return (socket) => void server.emit("connection", socket)
}

/** A TCP proxy in front of a server of its own. */
export const proxy = (behaviour?: Behaviour): Effect.Effect<Site, never, Scope.Scope> =>
  Effect.gen(function* () {
    const behind = yield* site(behaviour)
    const lines = new Set<Line>()
    const tunnel: Behaviour = (near) => {
      const far = connect({ port: behind.port, host: "127.0.0.1", noDelay: true })
      const line = { near, far }
      lines.add(line)
      far.on("error", () => {})
      far.on("close", () => near.destroy())
      near.on("close", () => {
        lines.delete(line)
        far.destroy()
      })
      near.pipe(far)
      far.pipe(near)
    }
    const front = yield* makeSite("ws", tunnel, tunnel, lines)
    return { ...front, heal: behind.heal, thaw: Effect.andThen(front.thaw, behind.thaw) }
  })

/**
 * Sends back what it gets. A text that begins with a slash is a command instead:
 *
 * - `/close [code] [reason]`: the closing handshake
 * - `/fragments`: a message in three fragments with a ping between them; each pong is told as a message
 * - `/empty`: an empty text, an empty binary message
 * - `/flood n`: `n` messages in a row
 * - `/stop`: says so, and reads nothing more
 */
const makeEcho = (): Behaviour => {
  const http = createHttpServer()
  http.on("clientError", (_, socket) => socket.destroy())
  new WebSocketServer({ server: http, maxPayload: 64 * 1024 * 1024 }).on("connection", (peer) => {
    peer.on("error", () => {})
    peer.on("message", (data: Buffer, isBinary) => {
      const text = isBinary ? "" : data.toString()
      if (text.startsWith("/")) obey(peer, text.slice(1).split(" "))
      else peer.send(data, { binary: isBinary })
    })
  })
  return (socket) => http.emit("connection", socket)
}

const obey = (peer: WebSocket, [command, argument, ...rest]: ReadonlyArray<string>): void => {
  switch (command) {
    case "close":
      if (argument === undefined) peer.close()
      else peer.close(Number(argument), rest.join(" "))
      break
    case "fragments":
      peer.once("pong", (payload) => peer.send(`pong ${payload}`))
      peer.send("one ", { fin: false })
      peer.send("two ", { fin: false })
      peer.ping("between")
      peer.send("three", { fin: true })
      break
    case "empty":
      peer.send("")
      peer.send(new Uint8Array(0))
      break
    case "flood":
      for (let i = 0; i < Number(argument); i++) peer.send(String(i))
      break
    case "stop":
      peer.send("stopped")
      peer.pause()
      break
  }
}

/** Reads, and says nothing. */
export const silent: Behaviour = (socket) => void socket.resume()

/** Answers the request of an upgrade with this, and nothing else. */
const answer = (status: string, fields: ReadonlyArray<string> = []): Behaviour =>
  httpAnswer((socket) => socket.end([`HTTP/1.1 ${status}`, ...fields, "Content-Length: 0", "", ""].join("\r\n")))

/** Upgrades, waits for the first bytes, then does this; whatever comes after that ends the line. */
const onceAsked = (act: (socket: Socket) => void): Behaviour =>
  upgraded((socket) => {
    socket.once("data", () => {
      act(socket)
      socket.once("data", () => socket.end())
    })
    socket.resume()
  })

const says = (...frames: ReadonlyArray<Buffer>): Behaviour =>
  onceAsked((socket) => void socket.write(Buffer.concat(frames)))

const trickle =
  (everyMillis: number) =>
  (socket: Socket, text: string): void => {
    let sent = 0
    const timer = setInterval(() => socket.write(text.charAt(sent++)), everyMillis)
    socket.on("close", () => clearInterval(timer))
  }

// Certificates

const pem = (label: string, text: string): string =>
  `-----BEGIN ${label}-----\n${text.trim().replace(/^ +/gm, "")}\n-----END ${label}-----\n`

const key = pem(
  "PRIVATE KEY",
  `MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgSfLU3PhZHjQWZp+N
  jF0oQ6sZCCA3nHVdIy9IQY2kPJKhRANCAARGzfKifYjqfRwEj5Rf3MqWW+KBeljO
  HZGrKfg5e64i4IUCb0kS4hfBG2IuZ0xjBoPU3Y9YByZk0+5BpqIg5C1A`
)

/**
 * Each signed by itself, with one key that protects nothing, by `openssl ca -selfsign -startdate 20200101000000Z
 * -enddate …` as in `test/fixtures/tls/generate.sh`, so that no clock matters.
 */
const certificates = {
  /** For 127.0.0.1, until 2120. */
  valid: {
    key,
    cert: pem(
      "CERTIFICATE",
      `MIIBVjCB/KADAgECAhRYftqWASBQ2iaZvl1HuMuj8PmHrzAKBggqhkjOPQQDAjAQ
      MQ4wDAYDVQQDDAV2YWxpZDAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAw
      MFowEDEOMAwGA1UEAwwFdmFsaWQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARG
      zfKifYjqfRwEj5Rf3MqWW+KBeljOHZGrKfg5e64i4IUCb0kS4hfBG2IuZ0xjBoPU
      3Y9YByZk0+5BpqIg5C1AozIwMDAPBgNVHREECDAGhwR/AAABMB0GA1UdDgQWBBSM
      Fzv+aqqoxdFm2t87wUeB+oP54zAKBggqhkjOPQQDAgNJADBGAiEA/6AMbXaWuYur
      kFcs+KnAxgZYhF2UqoIOKLXcyGTeDzoCIQDiiscqnQUBoZNflDJdlqUEqjt2o2dm
      WtQCYpYTCIsbjw==`
    )
  },
  /** For 127.0.0.1, until 2021. */
  expired: {
    key,
    cert: pem(
      "CERTIFICATE",
      `MIIBWDCB/qADAgECAhQj+4En0Sd2GVJqIRDjhUGHvKOWtzAKBggqhkjOPQQDAjAS
      MRAwDgYDVQQDDAdleHBpcmVkMB4XDTIwMDEwMTAwMDAwMFoXDTIxMDEwMTAwMDAw
      MFowEjEQMA4GA1UEAwwHZXhwaXJlZDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA
      BEbN8qJ9iOp9HASPlF/cypZb4oF6WM4dkasp+Dl7riLghQJvSRLiF8EbYi5nTGMG
      g9Tdj1gHJmTT7kGmoiDkLUCjMjAwMA8GA1UdEQQIMAaHBH8AAAEwHQYDVR0OBBYE
      FIwXO/5qqqjF0Wba3zvBR4H6g/njMAoGCCqGSM49BAMCA0kAMEYCIQDfV9RIiowx
      WWgvYJSAooEq7cjlMdau2srAK/cbQSwaKAIhAMhb2IH1qRY5B9LQ1+s/9ZAX9mzB
      5U3mzxwrGbaw0tpZ`
    )
  },
  /** For elsewhere.example, until 2120. */
  elsewhere: {
    key,
    cert: pem(
      "CERTIFICATE",
      `MIIBajCCARGgAwIBAgIUNCN+Tf4fmPaw/ZRGNwngPzaZ2mcwCgYIKoZIzj0EAwIw
      FDESMBAGA1UEAwwJZWxzZXdoZXJlMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAx
      MDAwMDAwWjAUMRIwEAYDVQQDDAllbHNld2hlcmUwWTATBgcqhkjOPQIBBggqhkjO
      PQMBBwNCAARGzfKifYjqfRwEj5Rf3MqWW+KBeljOHZGrKfg5e64i4IUCb0kS4hfB
      G2IuZ0xjBoPU3Y9YByZk0+5BpqIg5C1Aoz8wPTAcBgNVHREEFTATghFlbHNld2hl
      cmUuZXhhbXBsZTAdBgNVHQ4EFgQUjBc7/mqqqMXRZtrfO8FHgfqD+eMwCgYIKoZI
      zj0EAwIDRwAwRAIgQEBXmWpdpULth3bJ6Vtl1If9ug1s5ea0vakauKWvhiECIEIV
      uXZ/eeBK3I/0hP3SlQoknwNlwQVgtcoZMFheADeG`
    )
  }
}

// Faults

type PoolOptions = Partial<WebSocketPool.Options>

export interface Fault {
  readonly name: string
  readonly site: Effect.Effect<Site, never, Scope.Scope>
  /** The deadlines that bound it: in place of `patient`, so that nothing else can. */
  readonly deadlines?: PoolOptions | undefined
  /** What bounds it, if the names of these do not say it. */
  readonly bound?: string | undefined
  readonly options?: PoolOptions | undefined
  /** How the pool got over it, if `meet` has seen to that itself. */
  readonly recovery?: string | undefined
  readonly transport?: NodeWebSocketTransport.Options | undefined
  /** Meets the fault, and fails with what comes out; or succeeds with how the pool got over it. */
  readonly meet: (pool: Pool, site: Site) => Effect.Effect<string, PoolError.PoolError, Scope.Scope>
}

/** Nothing comes to an end by itself. */
export const patient = {
  acquireTimeout: "10 minutes",
  connectTimeout: "10 minutes",
  closeTimeout: "10 minutes",
  shutdownTimeout: "10 minutes",
  pingInterval: Duration.infinity,
  pingTimeout: "10 minutes",
  validateAfterIdle: Duration.infinity,
  idleTimeout: Duration.infinity,
  retry: Schedule.recurs(2)
} satisfies PoolOptions

const pings = { pingInterval: "50 millis", pingTimeout: "400 millis" } satisfies PoolOptions

const ask =
  (message: string) =>
  (connection: Connection): Effect.Effect<string, PoolError.ConnectionError> =>
    Effect.andThen(connection.send(message), Effect.map(connection.receive, String))

/** A healthy line. */
export const say = (pool: Pool, text: string): Effect.Effect<string, PoolError.PoolError> =>
  pool.use((connection) =>
    Effect.flatMap(ask(text)(connection), (reply) =>
      reply === text ? Effect.succeed(connection.id) : Effect.die(new Error(`Expected ${text}, got ${reply}`))
    )
  )

/** The connection cannot be established. */
const connecting = (name: string, behaviour: Behaviour, more?: Partial<Fault>): Fault => ({
  name,
  site: site(behaviour),
  meet: (pool) => pool.use(() => Effect.succeed("connected")),
  ...more
})

/** There is no secure line. */
const insecure = (name: string, behaviour: Behaviour): Fault => ({
  name,
  site: secureSite(behaviour),
  transport: { ca: [tls.otherCa, certificates.valid.cert, certificates.expired.cert, certificates.elsewhere.cert] },
  meet: (pool) => pool.use(() => Effect.succeed("connected"))
})

/** The connection is open, and what the first message brings about is bad. */
const talking = (name: string, behaviour: Behaviour | undefined, message: string, more?: Partial<Fault>): Fault => ({
  name,
  site: site(behaviour),
  meet: (pool) => pool.use(ask(message)),
  ...more
})

/** Sends until it fails. */
const sendForEver = (connection: Connection): Effect.Effect<never, PoolError.ConnectionError> =>
  Effect.forever(connection.send(new Uint8Array(64 * 1024)))

/** The first bytes of a message that never ends. */
const half = Buffer.concat([Buffer.from([0x81, 126, 0xff, 0xff]), Buffer.alloc(1000, "x")])

const bytesPerMessage = 64 * 1024
const floodSize = 100_000

export const faults = {
  // Before the connection is open

  refusedPort: connecting("the port refuses", silent, {
    meet: (pool, site) =>
      Effect.andThen(
        site.stop,
        pool.use(() => Effect.succeed("connected"))
      )
  }),
  silence: connecting("accepts, and is silent", silent, { deadlines: { connectTimeout: "250 millis" } }),
  silenceForLonger: connecting("accepts, and is silent for longer than `acquireTimeout`", silent, {
    deadlines: { acquireTimeout: "250 millis" },
    // What the `get` has started goes on without it.
    options: { connectTimeout: "500 millis" },
    meet: (pool) =>
      Effect.gen(function* () {
        const outcome = yield* Effect.exit(pool.use(() => Effect.succeed("connected")))
        yield* untilStats(pool, (stats) => stats.connecting === 0)
        return yield* outcome
      })
  }),
  resetAtOnce: connecting("accepts, and resets", (socket) => void socket.resetAndDestroy()),
  finAtOnce: connecting("accepts, and ends the line", (socket) => void socket.end()),
  status200: connecting("answers 200", answer("200 OK")),
  status301: connecting("answers 301", answer("301 Moved Permanently", ["Location: http://127.0.0.1:1/"])),
  status401: connecting("answers 401", answer("401 Unauthorized", ["WWW-Authenticate: Basic"])),
  status404: connecting("answers 404", answer("404 Not Found")),
  status429: connecting("answers 429 with `Retry-After`", answer("429 Too Many Requests", ["Retry-After: 1"])),
  status503: connecting("answers 503", answer("503 Service Unavailable")),
  wrongKey: connecting(
    "answers with a wrong accept key",
    httpAnswer((socket) => void socket.write(acceptance("Sec-WebSocket-Key: other\r\n")))
  ),
  notHttp: connecting(
    "answers with something that is not HTTP",
    httpAnswer((socket) => void socket.write("220 smtp ready\r\n"))
  ),
  trickle: connecting(
    "answers a byte at a time",
    httpAnswer((socket, head) => trickle(20)(socket, acceptance(head))),
    { deadlines: { connectTimeout: "250 millis" } }
  ),
  hugeHeaders: connecting(
    "answers with 1 MiB of header fields",
    httpAnswer((socket, head) => {
      const field = `X-Padding: ${"x".repeat(1000)}`
      socket.write(acceptance(head, Array<string>(1024).fill(field)))
    })
  ),
  unknownAuthority: insecure("a certificate of an unknown authority", withTls({ cert: tls.cert, key: tls.key })),
  expiredCertificate: insecure("an expired certificate", withTls(certificates.expired)),
  foreignCertificate: insecure("a certificate for another host", withTls(certificates.elsewhere)),
  notTls: insecure(
    "no TLS behind `wss:`",
    (socket) => void socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
  ),

  // While it is open

  reset: talking(
    "resets the connection",
    onceAsked((socket) => void socket.resetAndDestroy()),
    "now"
  ),
  fin: talking(
    "ends the line without a close frame",
    onceAsked((socket) => void socket.end()),
    "now"
  ),
  close1000: talking("closes with 1000", undefined, "/close 1000"),
  close1001: talking("closes with 1001", undefined, "/close 1001"),
  close1005: talking("closes without a code", undefined, "/close"),
  close1011: talking("closes with 1011", undefined, "/close 1011"),
  close4000: talking("closes with 4000 and a reason", undefined, "/close 4000 out of tokens"),
  closeWithoutEnd: talking(
    "closes with 1000, and leaves the line open",
    upgraded((socket) => {
      socket.once("data", () => void socket.write(frame(0x88, Buffer.from([0x03, 0xe8]))))
      socket.resume()
    }),
    "now",
    { deadlines: { closeTimeout: "200 millis" } }
  ),
  deafToClose: talking(
    "never answers a close",
    upgraded((socket) => void socket.resume()),
    "",
    {
      deadlines: { closeTimeout: "200 millis" },
      meet: (pool) =>
        pool.use((connection) => Effect.andThen(connection.close(1000, "bye"), Effect.map(connection.receive, String)))
    }
  ),
  blackHoleWaiting: {
    name: "a black hole while a lease waits",
    site: proxy(),
    deadlines: pings,
    meet: (pool, site) =>
      pool.use((connection) =>
        ask("hello")(connection).pipe(Effect.andThen(site.freeze), Effect.andThen(receive(connection)))
      )
  },
  blackHoleReceiving: {
    name: "a black hole in the middle of a message",
    site: proxy(onceAsked((socket) => void socket.write(half))),
    deadlines: pings,
    meet: (pool, site) =>
      pool.use((connection) =>
        Effect.gen(function* () {
          const [line] = site.sockets
          const before = line!.bytesWritten
          yield* connection.send("now")
          yield* until(() => line!.bytesWritten >= before + half.length)
          yield* site.freeze
          return yield* receive(connection)
        })
      )
  },
  blackHoleSending: {
    name: "a black hole while a lease sends",
    site: proxy(),
    deadlines: pings,
    meet: (pool, site) => pool.use((connection) => Effect.andThen(site.freeze, sendForEver(connection)))
  },
  blackHoleIdle: {
    name: "a black hole while idle",
    site: proxy(),
    deadlines: pings,
    meet: (pool, site) =>
      Effect.gen(function* () {
        const closed = yield* nextClosed(pool)
        yield* say(pool, "hello")
        yield* site.freeze
        const { code, reason } = yield* Deferred.await(closed)
        return `none; closed with ${code} as \`"${reason}"\` before anybody leases it`
      })
  },
  blackHoleValidated: {
    name: "a black hole that a `get` meets first",
    site: proxy(),
    deadlines: { validateAfterIdle: "20 millis" },
    bound: "1 second from the `get` on",
    recovery: "that `get` opens a new one",
    meet: (pool, site) =>
      Effect.gen(function* () {
        const first = yield* say(pool, "hello")
        yield* site.freeze
        yield* Effect.sleep("30 millis")
        const second = yield* say(pool, "hello again")
        if (second === first) return "the dead connection was leased"
        return "none; the `get` finds out"
      })
  },
  exhausted: {
    name: "a black hole holds the only connection, and a `get` waits for it",
    site: proxy(),
    deadlines: { acquireTimeout: "250 millis" },
    options: { maxConnections: 1 },
    meet: (pool, site) =>
      Effect.gen(function* () {
        const holder = yield* pool.use((connection) =>
          Effect.gen(function* () {
            yield* ask("hello")(connection)
            yield* site.freeze
            const outcome = yield* Effect.exit(pool.use(() => Effect.succeed("leased")))
            yield* site.thaw
            return outcome
          })
        )
        return yield* holder
      })
  },
  stopsReading: {
    name: "a server that stops reading",
    site: site(),
    deadlines: pings,
    meet: (pool) => pool.use((connection) => Effect.andThen(ask("/stop")(connection), sendForEver(connection)))
  },
  readsAgain: {
    name: "a server that stops reading, and reads again",
    site: site(),
    bound: "the server",
    meet: (pool, site) =>
      pool.use((connection) =>
        Effect.gen(function* () {
          const messages = 256
          yield* ask("/stop")(connection)
          let sent = 0
          const sender = yield* Effect.forkChild(
            repeated(
              Effect.map(
                Effect.suspend(() => connection.send(new Uint8Array(bytesPerMessage))),
                () => {
                  sent += 1
                }
              ),
              messages - 1
            )
          )
          yield* turns(200)
          const sentWhileStopped = sent
          yield* site.thaw
          let echoed = 0
          yield* repeated(
            Effect.map(connection.receive, (message) => {
              echoed += message.length
            }),
            messages - 1
          )
          yield* Fiber.join(sender)
          if (sentWhileStopped === messages) return "send did not wait"
          return echoed === messages * bytesPerMessage ? "none; `send` waits, and goes on" : `${echoed} bytes came back`
        })
      )
  },
  tooLarge: talking("a message above `maxPayload`", says(frame(0x82, Buffer.alloc(1001))), "now", {
    options: { maxPayload: 1000 }
  }),
  invalidUtf8: talking("text that is not UTF-8", says(frame(0x81, Buffer.from([0xc3, 0x28]))), "now"),
  reservedOpcode: talking("a reserved opcode", says(frame(0x83, "x")), "now"),
  reservedBits: talking("reserved bits", says(frame(0xc1, "x")), "now"),
  maskedFrame: talking("a masked frame", says(Buffer.from([0x81, 0x81, 1, 2, 3, 4, 0x79])), "now"),
  strayContinuation: talking("a continuation of nothing", says(frame(0x80, "x")), "now"),
  longPing: talking("a ping of 126 bytes", says(frame(0x89, Buffer.alloc(126))), "now"),
  reservedCode: talking("closes with the reserved code 1006", says(frame(0x88, Buffer.from([0x03, 0xee]))), "now"),
  pingBetweenFragments: {
    name: "a ping between fragments",
    site: site(),
    meet: (pool) =>
      pool.use((connection) =>
        Effect.gen(function* () {
          const whole = yield* ask("/fragments")(connection)
          const pong = yield* connection.receive
          if (whole !== "one two three") return `got ${whole}`
          return pong === "pong between" ? "none; it is answered, and the message arrives whole" : `got ${pong}`
        })
      )
  },
  emptyMessages: {
    name: "empty messages",
    site: site(),
    meet: (pool) =>
      pool.use((connection) =>
        Effect.gen(function* () {
          const text = yield* ask("/empty")(connection)
          const binary = yield* connection.receive
          const areEmpty = text === "" && binary instanceof Uint8Array && binary.length === 0
          return areEmpty ? "none; they are delivered" : `got ${JSON.stringify([text, binary])}`
        })
      )
  },
  flood: {
    name: "100,000 messages that the lease does not read",
    site: site(),
    bound: "the reader",
    meet: (pool) =>
      pool.use((connection) =>
        Effect.gen(function* () {
          yield* connection.send(`/flood ${floodSize}`)
          const received = () => Effect.runSync(connection.info).messagesReceived
          yield* until(() => received() * 64 + Effect.runSync(connection.info).bytesReceived > 1024 * 1024)
          yield* turns(100)
          const paused = received()
          yield* turns(100)
          if (received() !== paused || paused === floodSize) return "it goes on reading"
          for (let next = 0; next < floodSize; ) {
            for (const message of Array.from(yield* connection.receiveChunk)) {
              if (message !== String(next++)) return `got ${message}`
            }
          }
          return "none; past `receiveBuffer` the server has to wait, and none is lost"
        })
      )
  },
  floodIdle: {
    name: "100,000 messages after the lease, without `drain`",
    site: site(),
    meet: (pool) =>
      Effect.gen(function* () {
        const closed = yield* nextClosed(pool)
        yield* pool.use((connection) => connection.send(`/flood ${floodSize}`))
        const { reason } = yield* Deferred.await(closed)
        return `none; closed as \`"${reason}"\``
      })
  },
  floodDrained: {
    name: "100,000 messages after the lease, with `drain`",
    site: site(),
    bound: "`drain`",
    options: { drain: { quietPeriod: "100 millis", timeout: "10 minutes" } },
    meet: (pool) =>
      Effect.gen(function* () {
        yield* pool.use((connection) => connection.send(`/flood ${floodSize}`))
        yield* untilStats(pool, (stats) => stats.idle === 1 && stats.messagesDropped === floodSize)
        return "none; all are dropped"
      })
  },
  killed: {
    name: "the server is killed, and comes back after a while",
    site: site(),
    options: { minConnections: 2 },
    meet: (pool, site) =>
      Effect.gen(function* () {
        yield* pool.ready
        const { connectFailures } = yield* pool.stats
        yield* site.stop
        yield* untilStats(pool, (stats) => stats.idle === 0)
        const outcome = yield* Effect.exit(pool.use(ask("hello")))
        // It keeps on trying.
        yield* untilStats(pool, (stats) => stats.connectFailures >= connectFailures + 6)
        return yield* outcome
      })
  },
  resetUnderLoad: {
    name: "all connections are reset under 500 working fibers",
    site: site(),
    recovery: "each next `get` opens a new one",
    meet: (pool, site) =>
      Effect.gen(function* () {
        const errors: Array<PoolError.PoolError> = []
        let replies = 0
        const work = (fiber: number) =>
          Effect.gen(function* () {
            for (let request = 0; request < 4; ) {
              yield* Effect.match(say(pool, `${fiber}.${request}`), {
                onFailure: (error) => {
                  errors.push(error)
                },
                onSuccess: () => {
                  request += 1
                  replies += 1
                }
              })
            }
          })
        const workers = yield* Effect.forkChild(
          Effect.forEach(
            Array.from({ length: 500 }, (_, index) => index),
            work,
            { concurrency: "unbounded", discard: true }
          )
        )
        yield* until(() => replies >= 500)
        yield* site.reset
        yield* Fiber.join(workers)
        const [first] = errors
        if (first === undefined) return "nobody was hit"
        const shape = (error: PoolError.PoolError) => ({ ...error, connectionId: "" })
        const other = errors.find((error) => JSON.stringify(shape(error)) !== JSON.stringify(shape(first)))
        return yield* Effect.fail(other ?? first)
      })
  }
} satisfies Record<string, Fault>

const receive = (connection: Connection): Effect.Effect<string, PoolError.ConnectionError> =>
  Effect.map(connection.receive, String)

/** The next event of a connection that has closed. */
const nextClosed = (pool: Pool) =>
  Effect.gen(function* () {
    type Closed = Extract<PoolEvent.PoolEvent, { _tag: "ConnectionClosed" }>
    const closed = yield* Deferred.make<Closed>()
    yield* Effect.forkScoped(
      Stream.runForEach(pool.events, (event) =>
        event._tag === "ConnectionClosed" ? Deferred.succeed(closed, event) : Effect.void
      )
    )
    yield* turns(1)
    return closed
  })

// Meeting them

/** What came of a pool that met a fault. */
export interface Report {
  /** The error, or how the pool got over it without one. */
  readonly outcome: PoolError.PoolError | string
  /** Connections that the server has accepted in all. */
  readonly accepted: number
  /** How a healthy request went afterwards. */
  readonly recovery: string
  readonly events: ReadonlyArray<PoolEvent.PoolEvent>
  /** After the healthy request, and after the end. */
  readonly stats: WebSocketPool.PoolStats
  readonly finalStats: WebSocketPool.PoolStats
}

/** Makes a pool meet a fault, heals the server, makes the pool work, and closes it. */
export const meet = (fault: Fault, more?: (site: Site) => PoolOptions): Effect.Effect<Report, PoolError.PoolError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const site = yield* fault.site
      const options: WebSocketPool.Options = {
        url: site.url,
        name: "pool",
        ...patient,
        ...fault.deadlines,
        ...fault.options,
        ...more?.(site)
      }
      const layer = nodePool(options, fault.transport)
      const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
      const pool = Context.get(yield* Effect.orDie(Layer.buildWithScope(layer, scope)), WebSocketPool.WebSocketPool)
      const events: Array<PoolEvent.PoolEvent> = []
      const listener = yield* Effect.forkChild(
        Stream.runForEach(pool.events, (event) => Effect.sync(() => void events.push(event)))
      )
      yield* turns(1)

      const outcome = yield* Effect.match(Effect.scoped(fault.meet(pool, site)), {
        onFailure: (error) => error,
        onSuccess: (value) => value
      })
      const before = new Set(events.flatMap((event) => (event._tag === "ConnectionOpened" ? [event.connectionId] : [])))

      yield* site.heal
      const { minConnections = 0 } = options
      if (minConnections > 0) yield* untilStats(pool, (stats) => stats.idle === minConnections)
      const opened = (yield* pool.stats).opened
      const id = yield* say(pool, "how are you?")
      const recovery = before.has(id)
        ? (fault.recovery ?? "the same connection goes on")
        : (yield* pool.stats).opened === opened
          ? "opened anew in the background"
          : "the next `get` opens a new one"
      const stats = yield* untilStats(pool, (stats) => stats.closing + stats.draining === 0)

      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(listener)
      // Nobody who does not read can see the end of a line.
      yield* site.thaw
      yield* until(() => site.sockets.size === 0)
      return { outcome, accepted: site.accepted(), recovery, events, stats, finalStats: yield* pool.stats }
    })
  )
