import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Layer from "#effect/Layer"
import * as Option from "#effect/Option"
import * as Schedule from "#effect/Schedule"
import * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import * as tracing from "#examples/tracing"
import { interruptNow, repeated } from "#support/fibers"
import { type RecordedSpan, recordLines, recordSpans } from "#support/telemetry"
import { assert, describe, it } from "#support/vitest"
import { wsServer } from "../fixtures/servers.js"
import { echo, listen, now, peers, poolWith, settle } from "../support/memoryPool.js"

const Pool = WebSocketPool.WebSocketPool

const touch = WebSocketPool.use(() => Effect.void)

const parentOf = ({ parent }: RecordedSpan): string | undefined => Option.getOrUndefined(parent)?.spanId

const linksOf = ({ links }: RecordedSpan): ReadonlyArray<string> => links.map(({ span }) => span.spanId)

const attributesOf = ({ attributes }: RecordedSpan) => Object.fromEntries(attributes)

const named = (spans: ReadonlyArray<RecordedSpan>, name: string) => spans.filter((span) => span.name === name)

const server = { "server.address": "server.test", "server.port": 80 }

describe("spans", () => {
  it.effect(
    "tell what a get waited for: its own wait below the caller's span, the connect linked to it and back",
    () => {
      const { layer, spans } = recordSpans()
      return Effect.gen(function* () {
        const request = yield* Effect.forkChild(Effect.withSpan(touch, "request"))
        yield* TestClock.adjust("2 seconds")
        yield* now(request)
        assert.deepStrictEqual(
          spans.map(({ name }) => name),
          ["request", "WebSocketPool.acquire", "WebSocketPool.connect", "WebSocketPool.connect.attempt"]
        )
        const [caller, acquire, connect, attempt] = spans as [RecordedSpan, RecordedSpan, RecordedSpan, RecordedSpan]
        assert.strictEqual(parentOf(acquire), caller.spanId)
        assert.isUndefined(parentOf(connect))
        assert.strictEqual(parentOf(attempt), connect.spanId)
        assert.deepStrictEqual(linksOf(connect), [acquire.spanId])
        assert.deepStrictEqual(linksOf(acquire), [connect.spanId])
        assert.deepStrictEqual(
          [acquire.millis, connect.millis, attempt.millis, caller.millis],
          [2000, 2000, 2000, 2000]
        )
        assert.deepStrictEqual([acquire.kind, connect.kind, attempt.kind], ["internal", "internal", "client"])
        assert.deepStrictEqual(attributesOf(acquire), {
          "pool.name": "server.test",
          ...server,
          "pool.connections.connecting": 0,
          "pool.connections.idle": 0,
          "pool.connections.used": 0,
          "pool.connections.draining": 0,
          "pool.connections.closing": 0,
          "pool.connections.max": 50,
          "pool.pending_requests": 0,
          "websocket.connection.id": "server.test-1"
        })
        assert.deepStrictEqual(attributesOf(connect), {
          "pool.name": "server.test",
          ...server,
          "websocket.connect.attempts": 1,
          "websocket.connection.id": "server.test-1"
        })
        assert.deepStrictEqual(attributesOf(attempt), {
          "pool.name": "server.test",
          ...server,
          "websocket.connect.attempt": 1,
          "websocket.connection.id": "server.test-1"
        })
      }).pipe(Effect.provide(poolWith({}, listen, () => Effect.sleep("2 seconds"))), Effect.provide(layer))
    }
  )

  it.effect("are not made for a get that finds an idle connection", () => {
    const { layer, spans } = recordSpans()
    return Effect.gen(function* () {
      yield* touch
      const before = spans.length
      yield* repeated(touch, 9)
      yield* repeated(Effect.scoped(WebSocketPool.get), 9)
      assert.lengthOf(spans, before)
    }).pipe(Effect.provide(poolWith()), Effect.provide(layer))
  })

  it.effect("tell the same of an ask: its wait, and nothing where an idle connection is found", () => {
    const { layer, spans } = recordSpans()
    return Effect.gen(function* () {
      yield* Effect.forkChild(WebSocketPool.use(() => Effect.sleep("3 seconds")))
      yield* settle
      const late = yield* Effect.forkChild(Effect.withSpan(WebSocketPool.ask("hello"), "late"))
      const interrupted = yield* Effect.forkChild(Effect.withSpan(WebSocketPool.ask("never"), "interrupted"))
      yield* settle
      interruptNow(interrupted)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* now(late), "hello")
      const [first, second, third, ...more] = named(spans, "WebSocketPool.acquire")
      assert.lengthOf(more, 0)
      assert.deepStrictEqual([first?.millis, second?.millis, third?.millis], [0, 3000, 0])
      assert.strictEqual(parentOf(second!), named(spans, "late")[0]?.spanId)
      assert.strictEqual(attributesOf(second!)["websocket.connection.id"], "server.test-1")
      const before = spans.length
      assert.strictEqual(yield* WebSocketPool.ask("again"), "again")
      assert.lengthOf(spans, before)
      const [{ received } = { received: [] }] = yield* peers
      assert.deepStrictEqual(received, ["hello", "again"])
    }).pipe(Effect.provide(poolWith({ maxConnections: 1 }, echo)), Effect.provide(layer))
  })

  it.effect("tell of a wait for what others hold, and link to where that was opened", () => {
    const { layer, spans } = recordSpans()
    return Effect.gen(function* () {
      yield* Effect.forkChild(WebSocketPool.use(() => Effect.sleep("3 seconds")))
      yield* settle
      yield* Effect.forkChild(Effect.withSpan(touch, "late"))
      yield* TestClock.adjust("3 seconds")
      const [first, second] = named(spans, "WebSocketPool.acquire")
      const [connect, ...more] = named(spans, "WebSocketPool.connect")
      assert.lengthOf(more, 0)
      assert.deepStrictEqual([first?.millis, second?.millis], [0, 3000])
      assert.deepStrictEqual(linksOf(second!), [connect!.spanId])
      assert.deepInclude(attributesOf(second!), { "pool.connections.used": 1, "pool.connections.max": 1 })
    }).pipe(Effect.provide(poolWith({ maxConnections: 1 })), Effect.provide(layer))
  })

  it.effect("tell of each attempt, with its error, and of what came of all", () => {
    const { layer, spans } = recordSpans()
    let attempts = 0
    return Effect.gen(function* () {
      yield* Effect.forkChild(Effect.exit(touch))
      yield* TestClock.adjust("10 seconds")
      yield* Effect.forkChild(Effect.exit(touch))
      yield* TestClock.adjust("10 seconds")
      const [failed, opened] = named(spans, "WebSocketPool.connect")
      const attempted = (span: RecordedSpan) =>
        named(spans, "WebSocketPool.connect.attempt")
          .filter((attempt) => parentOf(attempt) === span.spanId)
          .map((attempt) => {
            const attributes = attributesOf(attempt)
            return [attributes["websocket.connect.attempt"], attributes["error.type"]]
          })
      assert.deepInclude(attributesOf(failed!), {
        "websocket.connect.attempts": 2,
        "error.type": "Handshake",
        "http.response.status_code": 503
      })
      assert.deepStrictEqual(attempted(failed!), [
        [1, "Handshake"],
        [2, "Handshake"]
      ])
      assert.deepStrictEqual(attempted(opened!), [
        [1, "Handshake"],
        [2, undefined]
      ])
      const [acquire] = named(spans, "WebSocketPool.acquire")
      assert.deepInclude(attributesOf(acquire!), { "error.type": "ConnectionUnavailableError" })
      assert.deepStrictEqual(linksOf(acquire!), [])
      assert.deepStrictEqual(
        [acquire, failed, opened].map((span) => span?.status._tag === "Ended" && span.status.exit._tag),
        ["Failure", "Failure", "Success"]
      )
    }).pipe(
      Effect.provide(
        poolWith({ retry: Schedule.recurs(1) }, listen, () => (++attempts < 4 ? Effect.fail(503) : Effect.void))
      ),
      Effect.provide(layer)
    )
  })

  it.effect("of the hooks of a connect belong to the attempt", () => {
    const { layer, spans } = recordSpans()
    const inSpan = <A>(name: string, value: A) => Effect.withSpan(Effect.succeed(value), name)
    return Effect.gen(function* () {
      yield* touch
      const [attempt] = named(spans, "WebSocketPool.connect.attempt")
      for (const name of ["url", "headers", "onConnect"]) {
        assert.strictEqual(parentOf(named(spans, name)[0]!), attempt!.spanId)
      }
      assert.deepInclude(attributesOf(attempt!), server)
    }).pipe(
      Effect.provide(
        poolWith({
          url: inSpan("url", "ws://server.test"),
          headers: inSpan("headers", {}),
          onConnect: () => inSpan("onConnect", undefined)
        })
      ),
      Effect.provide(layer)
    )
  })

  it.effect("of connections that nobody asked for are roots without a link", () => {
    const { layer, spans } = recordSpans()
    return Effect.gen(function* () {
      yield* settle
      const connects = named(spans, "WebSocketPool.connect")
      assert.lengthOf(connects, 2)
      for (const span of connects) assert.deepStrictEqual([parentOf(span), linksOf(span)], [undefined, []])
    }).pipe(
      Effect.provide(poolWith({ minConnections: 2 })),
      // The layer is made in a span that has long ended when the pool opens its next connection.
      Effect.withSpan("start"),
      Effect.provide(layer)
    )
  })

  it.effect("tell of draining that took its time, and how it ended", () => {
    const { layer, spans } = recordSpans()
    return Effect.gen(function* () {
      yield* touch
      yield* TestClock.adjust("60 millis")
      yield* (yield* peers)[0]!.send("late")
      yield* TestClock.adjust("100 millis")
      const [connect] = named(spans, "WebSocketPool.connect")
      const [drain] = named(spans, "WebSocketPool.drain")
      assert.deepStrictEqual(attributesOf(drain!), {
        "pool.name": "server.test",
        ...server,
        "websocket.connection.id": "server.test-1",
        "websocket.messages.dropped": 1
      })
      assert.deepStrictEqual([drain!.millis, parentOf(drain!), linksOf(drain!)], [160, undefined, [connect!.spanId]])

      yield* touch
      yield* TestClock.adjust("50 millis")
      yield* (yield* peers)[0]!.destroy
      yield* settle
      const [, lost] = named(spans, "WebSocketPool.drain")
      assert.strictEqual(lost!.millis, 50)
      assert.deepInclude(attributesOf(lost!), { "websocket.close.reason": "Remote" })

      yield* touch
      yield* TestClock.adjust("50 millis")
      yield* (yield* Pool).refresh
      const [, , refreshed] = named(spans, "WebSocketPool.drain")
      assert.deepInclude(attributesOf(refreshed!), { "websocket.close.reason": "Refreshed" })
    }).pipe(Effect.provide(poolWith({ drain: { quietPeriod: "100 millis" } })), Effect.provide(layer))
  })

  it.effect("are not made for a drain that takes no time", () => {
    const { layer, spans } = recordSpans()
    return Effect.gen(function* () {
      yield* touch
      yield* touch
      assert.lengthOf(named(spans, "WebSocketPool.drain"), 0)
    }).pipe(Effect.provide(poolWith({ drain: { quietPeriod: 0 } })), Effect.provide(layer))
  })

  it.effect("tell of closing, of a connection and of the pool", () => {
    const { layer, spans } = recordSpans()
    return Effect.gen(function* () {
      const pool = yield* Pool
      yield* pool.use(() => Effect.void)
      yield* (yield* peers)[0]!.silence
      yield* pool.refresh
      yield* TestClock.adjust("2 seconds")
      const [refreshed] = named(spans, "WebSocketPool.close.connection")
      assert.strictEqual(refreshed!.millis, 2000)
      assert.isUndefined(parentOf(refreshed!))
      assert.deepStrictEqual(linksOf(refreshed!), [named(spans, "WebSocketPool.connect")[0]!.spanId])
      assert.deepStrictEqual(attributesOf(refreshed!), {
        "pool.name": "server.test",
        ...server,
        "websocket.connection.id": "server.test-1",
        "websocket.close.reason": "Refreshed",
        "websocket.close.code": 1000
      })

      yield* Effect.forkChild(pool.use(() => Effect.sleep("3 seconds")))
      yield* settle
      yield* Effect.forkChild(pool.close)
      yield* TestClock.adjust("10 seconds")
      const [closing] = named(spans, "WebSocketPool.close")
      const [, shut] = named(spans, "WebSocketPool.close.connection")
      assert.deepInclude(attributesOf(closing!), { "pool.connections.used": 1, "pool.connections.idle": 0 })
      assert.strictEqual(closing!.millis, 3000)
      assert.strictEqual(parentOf(shut!), closing!.spanId)
      assert.deepInclude(attributesOf(shut!), { "websocket.close.reason": "Shutdown", "websocket.close.code": 1001 })
      assert.deepStrictEqual(
        spans.filter((span) => span.status._tag !== "Ended"),
        []
      )
    }).pipe(Effect.provide(poolWith()), Effect.provide(layer))
  })

  it.effect("end when a get is interrupted or a pool gives up what it opens", () => {
    const { layer, spans } = recordSpans()
    return Effect.gen(function* () {
      const pool = yield* Pool
      const waiting = yield* Effect.forkChild(pool.use(() => Effect.void))
      yield* TestClock.adjust("1 second")
      interruptNow(waiting)
      yield* settle
      assert.strictEqual(named(spans, "WebSocketPool.acquire")[0]!.millis, 1000)
      assert.isNaN(named(spans, "WebSocketPool.connect")[0]!.millis)
      yield* pool.close
      for (const span of spans) assert.strictEqual(span.status._tag, "Ended", span.name)
    }).pipe(Effect.provide(poolWith({}, listen, () => Effect.never)), Effect.provide(layer))
  })

  it.effect("have the annotations and links of the fiber that made the pool", () => {
    const { layer, spans } = recordSpans()
    return Effect.gen(function* () {
      yield* touch
      const [connect] = named(spans, "WebSocketPool.connect")
      assert.deepInclude(attributesOf(connect!), { region: "eu" })
    }).pipe(Effect.provide(poolWith()), Effect.annotateSpans("region", "eu"), Effect.provide(layer))
  })

  it.effect("are not made while tracing is disabled", () => {
    const { layer, spans } = recordSpans()
    return touch.pipe(
      Effect.provide(poolWith()),
      Effect.withTracerEnabled(false),
      Effect.andThen(Effect.sync(() => assert.lengthOf(spans, 0))),
      Effect.provide(layer)
    )
  })
})

describe("the log", () => {
  it.effect("tells of an outage in two lines, however many attempts fail", () => {
    const { layer, lines } = recordLines()
    let isAway = false
    return Effect.gen(function* () {
      yield* settle
      isAway = true
      for (const peer of yield* peers) yield* peer.destroy
      yield* Effect.forkChild(Effect.exit(touch))
      yield* Effect.forkChild(Effect.exit(touch))
      yield* TestClock.adjust("10 seconds")
      isAway = false
      yield* TestClock.adjust("20 seconds")
      const { connectFailures, idle } = yield* WebSocketPool.stats
      assert.isAbove(connectFailures, 5)
      assert.strictEqual(idle, 3)
      assert.deepStrictEqual(
        lines.map(({ level }) => level),
        ["WARN", "INFO"]
      )
      const [away, back] = lines
      assert.include(
        away?.message,
        'Pool "server.test" could not connect to ws://server.test/path after 1 attempt: ' +
          "the server refused the WebSocket upgrade with status 503 (the in-memory server's accept refused it)"
      )
      assert.deepStrictEqual(away?.annotations, { pool: "server.test", reason: "Handshake" })
      assert.match(back?.message ?? "", /^Connected again after \d+s.* \(\d+ failed attempts\)$/)
      assert.include(back?.message, `(${connectFailures} failed attempts)`)
    }).pipe(
      Effect.provide(
        poolWith({ minConnections: 3 }, listen, () => Effect.suspend(() => (isAway ? Effect.fail(503) : Effect.void)))
      ),
      Effect.provide(layer)
    )
  })

  it.effect("is not flooded by a server that comes and goes", () => {
    const { layer, lines } = recordLines()
    let attempts = 0
    return Effect.gen(function* () {
      const refresh = Effect.andThen((yield* Pool).refresh, Effect.exit(touch))
      yield* Effect.forkChild(Effect.repeat(refresh, Schedule.spaced("200 millis")))
      yield* TestClock.adjust("9999 millis")
      assert.isAbove((yield* WebSocketPool.stats).connectFailures, 20)
      assert.lengthOf(lines, 2)
      yield* TestClock.adjust("10 seconds")
      assert.lengthOf(lines, 2)
    }).pipe(
      Effect.provide(
        poolWith({}, listen, () => Effect.suspend(() => (++attempts % 2 === 1 ? Effect.fail(503) : Effect.void)))
      ),
      Effect.provide(layer)
    )
  })

  it.effect("tells the rest to those who debug", () => {
    const { layer, lines } = recordLines("Debug")
    return Effect.gen(function* () {
      const pool = yield* Pool
      yield* TestClock.adjust("1 second")
      yield* pool.use(() => Effect.void)
      yield* pool.resize({ maxConnections: 7 })
      yield* TestClock.adjust("1 minute")
      yield* pool.close
      // The server in memory has fibers, too.
      const own = lines.filter(({ annotations }) => annotations.pool !== undefined)
      assert.deepStrictEqual(own, [
        {
          level: "DEBUG",
          message: "Connection opened",
          annotations: { pool: "server.test", connectionId: "server.test-1", attempts: 1, elapsed: "1s" },
          cause: ""
        },
        {
          level: "DEBUG",
          message: "Pool resized",
          annotations: { pool: "server.test", minConnections: 1, maxConnections: 7 },
          cause: ""
        },
        { level: "DEBUG", message: "Pool closing", annotations: { pool: "server.test" }, cause: "" },
        {
          level: "DEBUG",
          message: "Connection closed",
          annotations: {
            pool: "server.test",
            connectionId: "server.test-1",
            reason: "Shutdown",
            code: 1001,
            age: "1m"
          },
          cause: ""
        }
      ])
    }).pipe(
      Effect.provide(poolWith({ minConnections: 1 }, listen, () => Effect.sleep("1 second"))),
      Effect.provide(layer)
    )
  })

  it.effect("is empty while all is well", () => {
    const { layer, lines } = recordLines()
    return Effect.gen(function* () {
      yield* touch
      yield* Effect.exit(WebSocketPool.use(() => Effect.fail("no")))
      yield* TestClock.adjust("10 minutes")
    }).pipe(
      Effect.provide(poolWith()),
      Effect.andThen(Effect.sync(() => assert.deepStrictEqual(lines, []))),
      Effect.provide(layer)
    )
  })
})

describe("the example", () => {
  interface Span {
    readonly traceId: string
    readonly spanId: string
    readonly parentSpanId?: string
    readonly name: string
    readonly links: ReadonlyArray<{ readonly spanId: string }>
  }

  const textOf = async (request: IncomingMessage): Promise<string> => {
    let text = ""
    for await (const chunk of request) text += chunk
    return text
  }

  /** A server that takes what is exported to it, by path. */
  const collector = Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly bodies: Map<string, Array<string>>; readonly close: () => void }>(
      (resume) => {
        const bodies = new Map<string, Array<string>>()
        const server = createServer((request, response) => {
          void textOf(request).then((text) => {
            const path = request.url ?? ""
            bodies.set(path, [...(bodies.get(path) ?? []), text])
            response.end("{}")
          })
        })
        server.listen(0, "127.0.0.1", () => {
          const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
          resume(Effect.succeed({ url, bodies, close: () => void server.close().closeAllConnections() }))
        })
      }
    ),
    ({ close }) => Effect.sync(close)
  )

  it.live("sends the spans of a question, metrics and log lines to a collector", () =>
    Effect.gen(function* () {
      const { bodies, url } = yield* collector
      const { port } = yield* wsServer((socket) => socket.on("message", (data) => socket.send(`re: ${data}`)))
      // What is left is sent when the layer is released.
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(tracing.PoolLive(`ws://127.0.0.1:${port}`, url), scope)
      const answer = yield* Effect.provide(tracing.ask("how are you?"), context)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(String(answer), "re: how are you?")

      const spans = (bodies.get("/v1/traces") ?? []).flatMap(
        (body): ReadonlyArray<Span> => JSON.parse(body).resourceSpans[0].scopeSpans[0].spans
      )
      const span = (name: string) => {
        const found = spans.find((span) => span.name === name)
        assert.isDefined(found, name)
        return found!
      }
      assert.strictEqual(span("WebSocketPool.acquire").parentSpanId, span("ask").spanId)
      assert.strictEqual(span("WebSocketPool.acquire").links[0]?.spanId, span("WebSocketPool.connect").spanId)
      assert.strictEqual(span("WebSocketPool.connect").links[0]?.spanId, span("WebSocketPool.acquire").spanId)
      assert.isDefined(span("WebSocketPool.close"))
      assert.include(bodies.get("/v1/metrics")?.join(), "websocket.client.connection.wait_time")
    })
  )
})
