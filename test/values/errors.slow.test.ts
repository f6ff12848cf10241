import { inspect } from "node:util"
import { PoolError, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import * as Cause from "#effect/Cause"
import * as Data from "#effect/Data"
import * as Deferred from "#effect/Deferred"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Redacted from "#effect/Redacted"
import * as Schedule from "#effect/Schedule"
import * as TestClock from "#effect/testing/TestClock"
import { prettyWithCause, unknownError, unknownErrorText } from "#support/fibers"
import { logger } from "#support/telemetry"
import { assert, describe, it } from "#support/vitest"
import {
  collect,
  expectTag,
  listen,
  notYet,
  now,
  type Options,
  peers,
  poolWith,
  type Server,
  settle,
  url
} from "../support/memoryPool.js"

const once = { retry: Schedule.recurs(0) }

/** What a `get` fails with. */
const failing = Effect.forkChild(Effect.flip(Effect.scoped(WebSocketPool.get)))

const failure = Effect.flip(Effect.scoped(WebSocketPool.get))

const unavailable = (...pool: Parameters<typeof poolWith>) =>
  Effect.gen(function* () {
    const fiber = yield* failing
    yield* TestClock.adjust("10 seconds")
    const error = yield* now(fiber)
    expectTag(error, "ConnectionUnavailableError")
    return error
  }).pipe(Effect.provide(poolWith(...pool)))

/** The fields of an error that it was made with. */
const fields = (error: PoolError.PoolError) => Object.keys(error).sort()

describe("PoolExhaustedError", () => {
  // The stats count the get that fails: with maxWaiters 0 it said that 1 was waiting, where nobody was.
  for (const maxWaiters of [0, 1, 2]) {
    it.effect(`says how many others wait when maxWaiters is ${maxWaiters}`, () =>
      Effect.gen(function* () {
        yield* WebSocketPool.get
        yield* Effect.replicateEffect(failing, maxWaiters)
        yield* settle
        const error = yield* failure
        expectTag(error, "PoolExhaustedError")
        const others = maxWaiters === 1 ? "1 other" : `${maxWaiters} others`
        assert.include(error.message, `(1 of 1 leased, 0 draining, ${others} waiting)`)
        assert.notInclude(error.message, "already")
      }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1, maxWaiters })))
    )
  }

  it.effect("has the pool's name, the reason and the stats of that moment", () =>
    Effect.gen(function* () {
      yield* WebSocketPool.get
      const waiter = yield* failing
      yield* settle
      const error = yield* failure
      expectTag(error, "PoolExhaustedError")
      assert.includeMembers(fields(error), ["_tag", "pool", "reason", "stats"])
      assert.strictEqual(error.pool, "server.test")
      assert.strictEqual(error.reason, "TooManyWaiters")
      assert.deepInclude(error.stats, { state: "open", maxConnections: 1, total: 1, busy: 1 })
      assert.isUndefined(error.lastFailure)
      assert.include(error.message, "server.test")
      assert.include(error.message, "maxWaiters")

      yield* TestClock.adjust("30 seconds")
      const late = yield* now(waiter)
      expectTag(late, "PoolExhaustedError")
      assert.strictEqual(late.reason, "AcquireTimeout")
      assert.include(late.message, "acquireTimeout")
      assert.include(late.message, "0 others waiting")
      assert.strictEqual((yield* WebSocketPool.stats).exhausted, 2)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1, maxWaiters: 1 })))
  )

  it.effect("has the latest failed connect, until one succeeds", () => {
    let status: number | undefined
    const accept = () => (status === undefined ? Effect.void : Effect.fail(status))
    return Effect.gen(function* () {
      yield* WebSocketPool.get
      const lastFailure = Effect.map(failure, (error) => {
        expectTag(error, "PoolExhaustedError")
        return error.lastFailure
      })
      for (const refusal of [503, 404]) {
        status = refusal
        const refused = yield* failure
        expectTag(refused, "ConnectionUnavailableError")
      }
      const fill = Effect.forkScoped(Effect.scoped(Effect.andThen(WebSocketPool.get, Effect.never)))
      const pool = yield* WebSocketPool.WebSocketPool
      yield* pool.resize({ maxConnections: 1 })
      const last = yield* lastFailure
      assert.strictEqual(last?._tag, "ConnectionUnavailableError")
      assert.deepInclude(last, { reason: "Handshake", status: 404, attempts: 1 })

      yield* pool.resize({ maxConnections: 2 })
      status = undefined
      yield* fill
      yield* settle
      assert.isUndefined(yield* lastFailure)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 2, maxWaiters: 0, ...once }, listen, accept)))
  })

  it.effect("has the time waited and the limit, of which 'maxWaiters' is a number", () =>
    Effect.gen(function* () {
      yield* WebSocketPool.get
      const waiter = yield* failing
      yield* settle
      const refused = yield* failure
      expectTag(refused, "PoolExhaustedError")
      assert.deepStrictEqual([refused.waited, refused.limit], [Duration.zero, 1])
      assert.include(refused.message, "maxWaiters is 1")
      yield* TestClock.adjust("30 seconds")
      const late = yield* now(waiter)
      expectTag(late, "PoolExhaustedError")
      assert.deepStrictEqual([late.waited, late.limit], [Duration.seconds(30), Duration.seconds(30)])
      assert.include(late.message, "none came free in 30s (acquireTimeout is 30s)")
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1, maxWaiters: 1 })))
  )

  const oldestLease = Effect.map(failure, (error) => {
    expectTag(error, "PoolExhaustedError")
    return error
  })

  it.effect("has the oldest lease: for how long it is held, and quiet, and its span", () =>
    Effect.gen(function* () {
      const lend = (name: string) => WebSocketPool.use(() => Effect.never).pipe(Effect.withSpan(name))
      const first = yield* Effect.forkChild(lend("transcribe"))
      yield* TestClock.adjust("4 seconds")
      yield* Effect.forkChild(lend("translate"))
      yield* TestClock.adjust("1 second")
      // What its holder sends, and a pong, are no messages from the server.
      yield* (yield* peers)[0]!.send("hello")
      yield* TestClock.adjust("2 seconds")
      const both = yield* oldestLease
      assert.deepStrictEqual(both.oldestLease, {
        connectionId: "server.test-1",
        held: Duration.seconds(7),
        quietFor: Duration.seconds(2),
        span: "transcribe"
      })
      assert.include(
        both.message,
        'The oldest lease, of server.test-1 in span "transcribe", has been held for 7s, the last 2s without a message'
      )
      assert.include(both.message, "raise maxConnections")
      assert.notInclude(both.message, "timeout inside")

      yield* Fiber.interrupt(first)
      yield* settle
      yield* Effect.forkChild(WebSocketPool.use(() => Effect.never))
      yield* settle
      const other = yield* oldestLease
      // Messages before the lease are not its own.
      assert.deepStrictEqual(other.oldestLease, {
        connectionId: "server.test-2",
        held: Duration.seconds(3),
        quietFor: Duration.seconds(3),
        span: "translate"
      })
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 2, maxWaiters: 0 })))
  )

  it.effect("advises by the oldest lease: from 10 quiet seconds on it is its holder, or the server, to look at", () =>
    Effect.gen(function* () {
      yield* WebSocketPool.get
      // It sends, and is answered by pongs alone.
      yield* TestClock.adjust("9999 millis")
      assert.include((yield* oldestLease).message, "Hold leases for a shorter time, or raise maxConnections")
      yield* TestClock.adjust("1 millis")
      const error = yield* oldestLease
      assert.deepStrictEqual(error.oldestLease, {
        connectionId: "server.test-1",
        held: Duration.seconds(10),
        quietFor: Duration.seconds(10)
      })
      assert.include(
        error.message,
        "Look at what its holder waits for (another lease of this pool?), and at the server; a timeout inside of the lease"
      )
      assert.notInclude(error.message, "raise maxConnections")
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1, maxWaiters: 0, pingInterval: "1 second" })))
  )

  it.effect("has no oldest lease when draining connections stand in the way, and says so", () =>
    Effect.gen(function* () {
      yield* WebSocketPool.use(() => Effect.void)
      const error = yield* oldestLease
      assert.isUndefined(error.oldestLease)
      assert.include(error.message, "shorten drain.quietPeriod, or raise maxConnections")
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ maxConnections: 1, maxWaiters: 0, drain: { quietPeriod: "5 seconds" } }))
    )
  )

  it.effect("is for a pool with leases out; draining ones stand in the way like leased ones", () =>
    Effect.gen(function* () {
      yield* WebSocketPool.use(() => Effect.void)
      assert.strictEqual((yield* WebSocketPool.stats).draining, 1)
      const waiter = yield* failing
      yield* TestClock.adjust("999 millis")
      notYet(waiter)
      yield* TestClock.adjust("1 millis")
      const error = yield* now(waiter)
      expectTag(error, "PoolExhaustedError")
      assert.deepInclude(error.stats, { busy: 0, draining: 1, waiting: 1 })
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ maxConnections: 1, acquireTimeout: "1 second", drain: { quietPeriod: "5 seconds" } }))
    )
  )
})

describe("PoolClosedError", () => {
  it.effect("has the pool's name, and comes to waiting and new gets at once, whichever they are", () =>
    Effect.gen(function* () {
      const pool = yield* WebSocketPool.WebSocketPool
      yield* pool.get
      const waiting = yield* Effect.forEach(
        [Effect.scoped(pool.get), Effect.scoped(pool.getNew), pool.use(Effect.succeed), pool.useNew(Effect.succeed)],
        (get) => Effect.forkChild(Effect.flip(get))
      )
      yield* settle
      for (const waiter of waiting) notYet(waiter)
      yield* Effect.forkChild(pool.close)
      yield* settle
      for (const waiter of waiting) {
        const error = yield* now(waiter)
        expectTag(error, "PoolClosedError")
        assert.deepStrictEqual(fields(error), ["_tag", "pool"])
        assert.strictEqual(error.pool, "mine")
        assert.include(error.message, "mine")
      }
      for (const get of [Effect.scoped(pool.get), Effect.scoped(pool.getNew), pool.use(Effect.succeed), pool.ready]) {
        assert.strictEqual((yield* Effect.flip(get))._tag, "PoolClosedError")
      }
    }).pipe(Effect.scoped, Effect.provide(poolWith({ name: "mine", maxConnections: 1 })))
  )

  it.effect("comes after the pool's layer is gone, too", () =>
    Effect.gen(function* () {
      const pool = yield* Effect.provide(WebSocketPool.WebSocketPool, poolWith())
      expectTag(yield* Effect.flip(Effect.scoped(pool.get)), "PoolClosedError")
      assert.strictEqual((yield* pool.stats).state, "closed")
    })
  )
})

describe("ConnectionUnavailableError", () => {
  it.effect("tells of a refused upgrade: Handshake, with its status", () =>
    Effect.gen(function* () {
      const error = yield* unavailable({ name: "mine", ...once }, listen, () => Effect.fail(503))
      assert.instanceOf(error.cause, Error)
      assert.includeMembers(fields(error), ["_tag", "attempts", "isRetryable", "pool", "reason", "status", "url"])
      assert.deepInclude(error, {
        pool: "mine",
        url,
        reason: "Handshake",
        status: 503,
        attempts: 1,
        isRetryable: true
      })
      for (const part of ["mine", url, "503"]) assert.include(error.message, part)
    })
  )

  it.effect("tells of connectTimeout: Timeout, without a status", () =>
    Effect.gen(function* () {
      const error = yield* unavailable(once, listen, () => Effect.never)
      assert.deepInclude(error, { reason: "Timeout", attempts: 1, isRetryable: true })
      assert.isUndefined(error.status)
    })
  )

  it.effect("tells of a failed hook: Setup, with what it failed with as the cause", () =>
    Effect.gen(function* () {
      const cause = new Error("wrong password")
      for (const options of [
        { url: Effect.fail(cause) },
        { headers: Effect.die(cause) },
        { onConnect: () => Effect.fail(cause) }
      ]) {
        const error = yield* unavailable({ ...once, ...options })
        assert.deepInclude(error, { reason: "Setup", attempts: 1, isRetryable: true })
        assert.strictEqual(error.cause, cause)
        assert.include(error.message, "wrong password")
      }
    })
  )

  it.effect("tells of a line lost in onConnect: the connection is not handed out", () =>
    Effect.gen(function* () {
      const error = yield* unavailable(
        { ...once, onConnect: (connection) => connection.receive },
        (peer) => peer.destroy
      )
      assert.strictEqual(error.reason, "Setup")
      assert.isTrue(error.isRetryable)
    })
  )

  it.effect("counts the attempts that were started, also when acquireTimeout ends the last", () =>
    Effect.gen(function* () {
      const fiber = yield* failing
      yield* TestClock.adjust("5 seconds")
      const error = yield* now(fiber)
      expectTag(error, "ConnectionUnavailableError")
      assert.deepInclude(error, { reason: "Timeout", attempts: 3 })
    }).pipe(
      Effect.provide(
        poolWith(
          { acquireTimeout: "5 seconds", connectTimeout: "1 second", retry: Schedule.spaced("1 second") },
          listen,
          () => Effect.never
        )
      )
    )
  )

  it.effect("counts the attempts of the background opening that a get has waited for", () =>
    Effect.gen(function* () {
      yield* settle
      const fiber = yield* failing
      yield* TestClock.adjust("5 seconds")
      const error = yield* now(fiber)
      expectTag(error, "ConnectionUnavailableError")
      assert.deepInclude(error, { reason: "Timeout", attempts: 1, url })
    }).pipe(
      Effect.provide(
        poolWith(
          { acquireTimeout: "5 seconds", url: Effect.succeed(url), minConnections: 1, maxConnections: 1 },
          listen,
          () => Effect.never
        )
      )
    )
  )

  it.effect("and not PoolExhaustedError comes at the limit when only connecting stood in the way", () =>
    Effect.gen(function* () {
      const fibers = yield* Effect.replicateEffect(failing, 3)
      yield* TestClock.adjust("30 seconds")
      for (const fiber of fibers) {
        const error = yield* now(fiber)
        expectTag(error, "ConnectionUnavailableError")
        assert.strictEqual(error.reason, "Timeout")
      }
    }).pipe(
      Effect.provide(poolWith({ maxConnections: 1, connectTimeout: Duration.infinity }, listen, () => Effect.never))
    )
  )

  it.effect("and not PoolExhaustedError comes below the limit, whatever is leased", () => {
    let accepted = 0
    return Effect.gen(function* () {
      yield* WebSocketPool.get
      const fiber = yield* failing
      yield* TestClock.adjust("30 seconds")
      expectTag(yield* now(fiber), "ConnectionUnavailableError")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith({ maxConnections: 3, connectTimeout: Duration.infinity }, listen, () =>
          accepted++ === 0 ? Effect.void : Effect.never
        )
      )
    )
  })
})

describe("the message of a ConnectionUnavailableError", () => {
  const messageOf = (fields: Partial<ConstructorParameters<typeof PoolError.ConnectionUnavailableError>[0]>) =>
    new PoolError.ConnectionUnavailableError({
      pool: "p",
      url: "ws://server.test/",
      reason: "Network",
      attempts: 2,
      cause: undefined,
      isRetryable: true,
      ...fields
    }).message

  const where = 'Pool "p" could not connect to ws://server.test/ after 2 attempts: '

  it("says which part of the setup has failed", () => {
    for (const step of ["url", "headers", "onConnect"] as const) {
      const message = messageOf({ reason: "Setup", step, cause: new Error("no token") })
      assert.isTrue(message.startsWith(`${where}${step} failed (no token). Look at ${step}`), message)
    }
  })

  // It blamed url, headers and onConnect.
  it("speaks of the transport when no part of the setup has failed", () => {
    const refused = messageOf({ reason: "Setup", cause: new Error("no") })
    assert.isTrue(refused.startsWith(`${where}the transport could not use what it was given (no). Look at`), refused)
    const problem = "the transport's option proxy: expected a URL"
    const bad = messageOf({ reason: "Setup", cause: new Error(problem) })
    assert.isTrue(bad.startsWith(`${where}${problem}. Look at the options of the transport`), bad)
    assert.notInclude(bad, "onConnect")
  })

  // It asked whether the server was up.
  it("speaks of the proxy when that has failed", () => {
    const failing = (reason: PoolError.ConnectFailureReason, said: string, status?: number) =>
      messageOf({ reason, status, cause: new Error(`proxy 10.0.0.1:3128: ${said}`) })
    for (const [message, what, advice] of [
      [failing("Network", "ECONNREFUSED"), "the proxy could not be reached, or hung up (proxy", "Is it an HTTP proxy"],
      [failing("Tls", "expired"), "the TLS connection to the proxy failed (", "Look at the certificate of the proxy"],
      [failing("Tls", "wrong version number"), "the TLS connection to the proxy failed (", "Give proxy a URL"],
      [failing("Handshake", "no", 407), "no tunnel to the server with status 407 (", "Look at the credentials"],
      [failing("Handshake", "no", 502), "no tunnel to the server with status 502 (", "cannot reach the server"],
      [failing("Handshake", "no", 403), "no tunnel to the server with status 403 (", "Does the proxy allow tunnels"],
      [failing("Handshake", "Parse Error"), "the proxy opened no tunnel to the server (", "Is it an HTTP proxy"]
    ] as const) {
      assert.include(message, what)
      assert.include(message, advice)
      for (const blame of ["the server could", "the server refused", "of the proxy, and at ca of the server"]) {
        assert.notInclude(message, blame)
      }
    }
  })

  // It said "An unknown error occurred in Effect.tryPromise".
  it.effect("says what Effect.tryPromise and Effect.try have caught", () =>
    Effect.gen(function* () {
      const rejected = yield* Effect.flip(Effect.tryPromise(() => Promise.reject(new Error("login refused"))))
      const thrown = yield* Effect.flip(
        Effect.try(() => {
          throw "no key"
        })
      )
      const said = (cause: unknown) => messageOf({ reason: "Setup", step: "onConnect", cause })
      assert.include(said(rejected), "onConnect failed (login refused). ")
      assert.include(said(thrown), "onConnect failed (no key). ")
      assert.include(said(unknownError(rejected)), "onConnect failed (login refused). ")
      assert.include(said(unknownError(new Error("inner"), "outer")), "onConnect failed (outer). ")
      assert.include(said(unknownError(undefined)), `onConnect failed (${unknownErrorText}). `)
    })
  )

  // It said "status 401 (Unexpected server response: 401)".
  it("says a status once", () => {
    const refused = (cause: unknown, status = 401) => messageOf({ reason: "Handshake", status, cause })
    const plain = `${where}the server refused the WebSocket upgrade with status 401. Look at the credentials`
    for (const cause of [new Error("Unexpected server response: 401"), undefined, new Error(""), "status 401"]) {
      assert.isTrue(refused(cause).startsWith(plain), refused(cause))
    }
    assert.include(refused(new Error("401 Unauthorized: no key")), "upgrade (401 Unauthorized: no key). ")
    assert.include(refused(new Error("no key 4012")), "upgrade with status 401 (no key 4012). ")
  })

  it("fits on one line, whatever the cause prints", () => {
    const tree = '{ token: string }\n└─ ["token"]\r\n\t└─ is missing\u0000\u001b\u0085\u2028here  '
    for (const message of [
      messageOf({ cause: new Error(tree) }),
      messageOf({ cause: tree }),
      messageOf({ reason: "Setup", step: "onConnect", cause: new Error(tree) }),
      messageOf({ reason: "Timeout", cause: new PoolError.ConnectionUnavailableError({ ...failed, cause: tree }) })
    ]) {
      assert.include(message, '{ token: string } └─ ["token"] └─ is missing here')
      assert.notMatch(message, /[\n\r\t\p{Cc}\u2028]/u)
    }
    const long = messageOf({ cause: new Error("x".repeat(100_000)) })
    assert.isBelow(long.length, 1_000)
    assert.include(long, "xxx…")
  })

  const failed = {
    pool: "p",
    url: "ws://server.test/",
    reason: "Network",
    attempts: 1,
    cause: new Error("connect ECONNREFUSED"),
    isRetryable: true
  } as const

  // It repeated pool, URL and reason in brackets.
  it("says of acquireTimeout what the latest attempt failed with, once", () => {
    const message = messageOf({ reason: "Timeout", cause: new PoolError.ConnectionUnavailableError(failed) })
    assert.include(
      message,
      `${where}acquireTimeout has passed; the latest attempt failed, since the server could not be reached ` +
        "(connect ECONNREFUSED). Is the server up"
    )
    for (const part of ["ws://server.test/", 'Pool "p"', "could not connect"]) {
      assert.lengthOf(message.split(part), 2, part)
    }
  })

  it("says of a timeout which one it was, once", () => {
    const message = messageOf({ reason: "Timeout", cause: new Error("connectTimeout (10s) has passed") })
    assert.isTrue(message.startsWith(`${where}connectTimeout (10s) has passed. Does the server answer`), message)
  })

  it("says when the server wants to be tried again, and whether anything was tried", () => {
    const message = messageOf({
      reason: "Handshake",
      status: 503,
      attempts: 0,
      retryAfter: Duration.seconds(30),
      cause: new Error("Unexpected server response: 503")
    })
    assert.include(
      message,
      'Pool "p" could not connect to ws://server.test/: the server refused the WebSocket upgrade with status 503. ' +
        "It asks not to be tried again for 30s. The server has too much to do"
    )
  })

  it("names a cause that has nothing to say", () => {
    class LoginRefused extends Data.TaggedError("LoginRefused") {}
    assert.include(messageOf({ reason: "Setup", step: "onConnect", cause: new LoginRefused() }), "(LoginRefused)")
    assert.include(messageOf({ reason: "Setup", cause: { _tag: "NoToken" } }), "(NoToken)")
    assert.include(messageOf({ reason: "Setup", cause: new TypeError() }), "(TypeError)")
    assert.notInclude(messageOf({ reason: "Setup", cause: new Error("") }), "(")
  })

  for (const [what, fields, advice] of [
    ["a refused port", { cause: new Error("connect ECONNREFUSED ::1:80") }, "are host and port right?"],
    ["a reset of ws:", { cause: new Error("read ECONNRESET") }, "a port for ws:, not for wss:?"],
    ["a reset of wss:", { url: "wss://a/", cause: new Error("read ECONNRESET") }, "are host and port right?"],
    ["no TLS", { reason: "Tls", cause: new Error("write EPROTO 8:wrong version number:") }, "use ws:, or another port"],
    ["a certificate", { reason: "Tls", cause: new Error("certificate has expired") }, "ca of the transport"],
    [
      "no HTTP",
      { reason: "Handshake", cause: new Error("Parse Error") },
      "Is it a WebSocket server, and a port for ws:"
    ],
    ["403", { reason: "Handshake", status: 403 }, "credentials in headers and url"],
    ["407", { reason: "Handshake", status: 407 }, "credentials of the proxy"],
    ["302", { reason: "Handshake", status: 302 }, "followRedirects"],
    ["404", { reason: "Handshake", status: 404 }, "the path of the URL"],
    ["429", { reason: "Handshake", status: 429 }, "open fewer connections"],
    ["500", { reason: "Handshake", status: 500 }, "retry for longer"]
  ] as const) {
    it(`says what to look at for ${what}`, () => assert.include(messageOf(fields), advice))
  }
})

describe("ConnectionClosedError", () => {
  it("fits its message on one line, whatever the server has said", () => {
    const error = new PoolError.ConnectionClosedError({
      connectionId: "c",
      code: 4000,
      reason: "go\r\naway",
      initiator: "Remote"
    })
    assert.isTrue(error.message.endsWith('code 4000 "go away"'))
    assert.strictEqual(error.reason, "go\r\naway")
  })

  it.effect("has the connection's id, code, reason and initiator, for send, receive and ping", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      yield* (yield* peers)[0]!.close(4001, "go away")
      yield* settle
      for (const operation of [connection.receive, connection.send("?"), connection.ping, connection.receiveChunk]) {
        const error = yield* Effect.flip(operation)
        expectTag(error, "ConnectionClosedError")
        assert.deepStrictEqual(fields(error), ["_tag", "code", "connectionId", "initiator", "reason"])
        assert.deepInclude(error, {
          connectionId: connection.id,
          code: 4001,
          reason: "go away",
          initiator: "Remote"
        })
        for (const part of [connection.id, "4001", "go away"]) assert.include(error.message, part)
      }
    }).pipe(Effect.scoped, Effect.provide(poolWith({}, () => Effect.never)))
  )

  type Ending = Effect.Effect<unknown, unknown, Server | WebSocketPool.WebSocketPool>
  const peer = Effect.map(peers, (all) => all[0]!)
  const wait = (duration: Duration.Input) => TestClock.adjust(duration)

  const codes: ReadonlyArray<
    readonly [
      string,
      (connection: { close: (code?: number, reason?: string) => Effect.Effect<void> }) => Ending,
      number,
      PoolError.CloseInitiator,
      /** What the message says of it, if the code alone would not do. */
      string?
    ]
  > = [
    ["closed by the server", () => Effect.flatMap(peer, (peer) => peer.close(1000)), 1000, "Remote"],
    ["closed by the server without a code", () => Effect.flatMap(peer, (peer) => peer.close(1005)), 1005, "Remote"],
    [
      "closed by the server with a code of its own",
      () => Effect.flatMap(peer, (peer) => peer.close(4000)),
      4000,
      "Remote"
    ],
    ["lost", () => Effect.flatMap(peer, (peer) => peer.destroy), 1006, "Remote", "reset or lost"],
    [
      "dead by ping",
      () => Effect.flatMap(peer, (peer) => Effect.andThen(peer.silence, wait("40 seconds"))),
      1006,
      "Pool",
      "a ping was not answered, and nothing else moved, within pingTimeout"
    ],
    ["closed by its holder", (connection) => Effect.andThen(connection.close(), settle), 1000, "Local"],
    [
      "closed by its holder with a code of its own",
      (connection) => Effect.andThen(connection.close(4000), settle),
      4000,
      "Local"
    ],
    [
      "closed by its holder, which nobody answers",
      (connection) =>
        Effect.flatMap(peer, (peer) => Effect.all([peer.silence, connection.close(4000), wait("2 seconds")])),
      1006,
      "Local",
      "a close that nobody answered"
    ],
    [
      "sent a message that is too large",
      () => Effect.flatMap(peer, (peer) => peer.send("x".repeat(101))),
      1009,
      "Local",
      "an incoming message larger than maxPayload"
    ],
    [
      "closed by its holder with the code of a message that is too large",
      (connection) => Effect.andThen(connection.close(1009, "enough"), settle),
      1009,
      "Local",
      'this program ended it with code 1009 "enough"'
    ],
    [
      "closed by the shutdown",
      () =>
        Effect.flatMap(WebSocketPool.WebSocketPool, (pool) =>
          Effect.andThen(Effect.forkDetach(pool.close), wait("5 seconds"))
        ),
      1001,
      "Pool",
      "was closing and the lease was not given back within shutdownTimeout"
    ]
  ]

  for (const [what, ending, code, initiator, says] of codes) {
    it.effect(`says ${code} and "${initiator}" of a connection ${what}`, () =>
      Effect.gen(function* () {
        const connection = yield* WebSocketPool.get
        yield* ending(connection)
        for (const operation of [connection.receive, connection.send("?"), connection.ping]) {
          const error = yield* Effect.flip(operation)
          expectTag(error, "ConnectionClosedError")
          assert.deepInclude(error, { code, initiator })
          if (says === undefined) assert.match(error.message, new RegExp(`with code ${code}$`))
          else assert.isTrue(error.message.endsWith(says), error.message)
        }
      }).pipe(Effect.scoped, Effect.provide(poolWith({ maxPayload: 100 }, () => Effect.never)))
    )
  }

  it.effect("says what a transport says of a broken protocol", () => {
    const breaking = (code: number) =>
      Layer.succeed(WebSocketTransport.WebSocketTransport, {
        connect: (_request, events) =>
          Effect.sync(() => {
            const socket: WebSocketTransport.TransportSocket = {
              protocol: "",
              isOpen: true,
              bufferedAmount: 0,
              progress: 0,
              send: () => {
                events.onEnd({ code, reason: "", initiator: "Local" })
                events.onGone()
                return 1
              },
              ping: () => {},
              pause: () => {},
              resume: () => {},
              close: () => {},
              destroy: () => events.onGone()
            }
            events.onOpen(socket)
          })
      })
    const broken = [
      [1002, "a server that broke the protocol"],
      [1007, "text that is not UTF-8"]
    ] as const
    return Effect.forEach(broken, ([code, says]) =>
      Effect.gen(function* () {
        const events = yield* collect(yield* WebSocketPool.WebSocketPool)
        const connection = yield* WebSocketPool.get
        yield* connection.send("?")
        const error = yield* Effect.flip(connection.receive)
        expectTag(error, "ConnectionClosedError")
        assert.deepInclude(error, { code, initiator: "Local" })
        assert.include(error.message, says)
        yield* settle
        const closed = events.find((event) => event._tag === "ConnectionClosed")
        assert.deepInclude(closed, { code, reason: "Protocol" })
      }).pipe(Effect.scoped, Effect.provide(Layer.provide(WebSocketPool.layer({ url }), breaking(code))))
    )
  })
})

describe("ConnectionBusyError", () => {
  it.effect("says that the lease is over, for send, receive and ping", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.use(Effect.succeed)
      for (const operation of [connection.receive, connection.send("?"), connection.ping, connection.receiveChunk]) {
        const error = yield* Effect.flip(operation)
        expectTag(error, "ConnectionBusyError")
        assert.deepStrictEqual(fields(error), ["_tag", "connectionId", "reason"])
        assert.deepInclude(error, { connectionId: connection.id, reason: "Released" })
        assert.include(error.message, connection.id)
      }
    }).pipe(Effect.provide(poolWith()))
  )

  it.effect("says that another fiber is receiving, who is left alone", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      const reader = yield* Effect.forkChild(connection.receive)
      yield* settle
      const error = yield* Effect.flip(connection.receive)
      expectTag(error, "ConnectionBusyError")
      assert.deepInclude(error, { connectionId: connection.id, reason: "Receiving" })
      assert.notStrictEqual(error.message, new PoolError.ConnectionBusyError({ ...error, reason: "Released" }).message)
      yield* (yield* peers)[0]!.send("hello")
      yield* settle
      assert.strictEqual(yield* now(reader), "hello")
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )
})

describe("isPoolError", () => {
  it.effect("knows all five, and nothing else", () =>
    Effect.gen(function* () {
      const { stats } = yield* WebSocketPool.WebSocketPool
      const errors: ReadonlyArray<PoolError.PoolError> = [
        new PoolError.PoolExhaustedError({
          pool: "p",
          reason: "AcquireTimeout",
          stats: yield* stats,
          waited: Duration.zero,
          limit: Duration.zero
        }),
        new PoolError.PoolClosedError({ pool: "p" }),
        new PoolError.ConnectionUnavailableError({
          pool: "p",
          url,
          reason: "Network",
          attempts: 1,
          cause: undefined,
          isRetryable: true
        }),
        new PoolError.ConnectionClosedError({ connectionId: "c", code: 1000, reason: "", initiator: "Local" }),
        new PoolError.ConnectionBusyError({ connectionId: "c", reason: "Released" })
      ]
      for (const error of errors) {
        assert.isTrue(PoolError.isPoolError(error))
        assert.strictEqual(error.constructor.name, error._tag)
        assert.instanceOf(error, Error)
        assert.isNotEmpty(error.message)
      }
      for (const other of [
        new Error("no"),
        { _tag: "PoolClosedError", pool: "p" },
        null,
        undefined,
        "PoolClosedError"
      ]) {
        assert.isFalse(PoolError.isPoolError(other))
      }
    }).pipe(Effect.provide(poolWith()))
  )
})

describe("secrets", () => {
  const secret = "s3cr3t"
  const secretUrl = `ws://user-${secret}:pass-${secret}@server.test/path?token=${secret}#`.slice(0, -1)
  const headers = { authorization: `Bearer ${secret}`, "x-key": Redacted.make(secret) }

  /** Everything that a value may show, however it is looked at. */
  const shown = (value: unknown): string =>
    [
      String(value),
      JSON.stringify(value),
      inspect(value, { depth: Number.POSITIVE_INFINITY, showHidden: true }),
      value instanceof Error ? `${value.stack} ${value.message} ${inspect(value.cause, { depth: 10 })}` : "",
      prettyWithCause(value)
    ].join("\n")

  const refusals: ReadonlyArray<readonly [string, Partial<Options>, Parameters<typeof poolWith>[2]?]> = [
    ["a refused upgrade", {}, () => Effect.fail(401)],
    ["a refusal that is retried", { retry: Schedule.recurs(2) }, () => Effect.fail(503)],
    ["a defect in the handshake", {}, () => Effect.die("no")],
    ["connectTimeout", {}, () => Effect.never],
    ["acquireTimeout", { acquireTimeout: "1 second" }, () => Effect.never],
    ["a failed onConnect", { onConnect: () => Effect.fail(new Error("no")) }],
    ["a computed URL that is none", { url: Effect.succeed(`http://${secret}@server.test/?${secret}`) }],
    ["a computed URL without its scheme", { url: Effect.succeed(`${secret}:${secret}@server.test`) }],
    ["a computed header that cannot be sent", { headers: Effect.succeed({ authorization: `${secret}\r\n` }) }]
  ]

  for (const given of [secretUrl, new URL(secretUrl), Redacted.make(secretUrl), Effect.succeed(secretUrl)]) {
    const form = Effect.isEffect(given) ? "computed" : typeof given === "string" ? "plain" : given.constructor.name
    for (const [what, options, accept] of refusals) {
      it.effect(`stay out of the error of ${what}, its events and its logs (URL ${form || "redacted"})`, () => {
        const logged: Array<unknown> = []
        const recording = logger(({ annotations, cause, message }) => logged.push(message, cause, annotations), "All")
        return Effect.gen(function* () {
          const events = yield* collect(yield* WebSocketPool.WebSocketPool)
          const exits = yield* Effect.forkChild(Effect.exit(Effect.scoped(WebSocketPool.get)))
          yield* TestClock.adjust("10 seconds")
          const exit = yield* now(exits)
          assert.isTrue(Exit.isFailure(exit))
          const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
          assert.isTrue(PoolError.isPoolError(error))
          yield* Effect.logError("a get has failed", Exit.isFailure(exit) ? exit.cause : undefined)
          const all = [error, events, logged, yield* WebSocketPool.stats].map(shown).join("\n")
          assert.match(all, /server\.test|websocket-pool/)
          assert.notInclude(all, secret)
        }).pipe(
          Effect.scoped,
          Effect.provide(poolWith({ url: given, headers, ...once, ...options }, listen, accept)),
          Effect.provide(recording)
        )
      })
    }
  }

  it.effect("reach the server", () =>
    Effect.gen(function* () {
      yield* WebSocketPool.get
      const [peer] = yield* peers
      assert.strictEqual(peer?.url, secretUrl)
      assert.deepStrictEqual({ ...peer?.headers }, { authorization: `Bearer ${secret}`, "x-key": secret })
    }).pipe(Effect.scoped, Effect.provide(poolWith({ url: secretUrl, headers })))
  )

  it.effect("stay out of the errors, events and logs of a connection's life", () => {
    const logged: Array<unknown> = []
    const recording = logger(({ annotations, cause, message }) => logged.push(message, cause, annotations), "All")
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.WebSocketPool
      const events = yield* collect(pool)
      const connection = yield* pool.get
      const { id } = connection
      const exhausted = yield* failure
      yield* (yield* peers)[0]!.destroy
      yield* settle
      const closed = yield* Effect.flip(connection.receive)
      yield* Effect.forkChild(pool.close)
      yield* TestClock.adjust("5 seconds")
      const all = [id, exhausted, closed, yield* failure, events, logged, yield* pool.stats, yield* connection.info]
      assert.isNotEmpty(logged)
      assert.notInclude(all.map(shown).join("\n"), secret)
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ url: secretUrl, headers, maxConnections: 1, maxWaiters: 0 })),
      Effect.provide(recording)
    )
  })
})

describe("warnings", () => {
  it.effect("tell of hooks that fail without failing anybody, with what they failed with", () => {
    const lines: Array<string> = []
    const recording = logger(({ cause, level, message }) => lines.push(`${level} ${message} ${cause}`))
    const hook = (name: string) => () => Effect.fail(`${name} says no`)
    return Effect.gen(function* () {
      yield* WebSocketPool.use(() => Effect.void)
      yield* settle
      assert.lengthOf(lines, 1)
      assert.match(lines[0]!, /^WARN .*onRelease.*onRelease says no/s)
      yield* Effect.exit(WebSocketPool.use(() => Effect.die("not run")))
      yield* settle
      assert.lengthOf(lines, 1)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ onRelease: hook("onRelease") })), Effect.provide(recording))
  })

  it.effect("tell of leases that closing the pool has ended", () => {
    const lines: Array<string> = []
    const recording = logger(({ level, message }) => lines.push(`${level} ${message}`))
    return Effect.gen(function* () {
      const pool = yield* WebSocketPool.WebSocketPool
      const release = yield* Deferred.make<void>()
      yield* Effect.forkChild(pool.use(() => Deferred.await(release)))
      yield* settle
      yield* Effect.forkChild(pool.close)
      yield* TestClock.adjust("4999 millis")
      assert.lengthOf(lines, 0)
      yield* TestClock.adjust("1 millis")
      assert.lengthOf(lines, 1)
      assert.match(lines[0]!, /^WARN .*shutdownTimeout/)
      yield* Deferred.succeed(release, undefined)
    }).pipe(Effect.provide(poolWith()), Effect.provide(recording))
  })
})
