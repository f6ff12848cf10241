import { createHash } from "node:crypto"
import { type PoolStats, type WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
import * as WebSocketPoolMonitor from "effect-websocket-pool/WebSocketPoolMonitor"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import type * as HttpServerResponse from "#effect/http/HttpServerResponse"
import * as Redacted from "#effect/Redacted"
import type * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, expectTypeOf, it } from "#support/vitest"
import { fetchFrom, type MonitorOf, mounted, mountings, respond, together, type Web } from "#support/web"
import { echo, now, peers, poolWith, settle } from "../support/memoryPool.js"

interface Sample {
  readonly now: number
  readonly pool: string | null
  readonly stats: PoolStats.PoolStats
  readonly connections: ReadonlyArray<WebSocketConnection.ConnectionInfo> | null
  readonly connectionsLeftOut: number
  readonly latencies: Readonly<Record<"waited" | "held" | "connecting", ReadonlyArray<readonly [number, number]>>>
  readonly events: ReadonlyArray<{
    readonly at: number
    readonly kind: string
    readonly tag: string
    readonly connectionId: string
    readonly detail: string
  }>
  readonly failures: number
}

const Pool = WebSocketPool.WebSocketPool

const theMonitor = Effect.map(Pool, (pool) => WebSocketPoolMonitor.router(pool))

const textOf = (response: HttpServerResponse.HttpServerResponse): Stream.Stream<string, unknown> => {
  assert(response.body._tag === "Stream")
  return Stream.decodeText(response.body.stream)
}

const parse = (message: string) => {
  const [, retry, data] = /^retry: (\d+)\ndata: (.*)\n\n$/.exec(message)!
  return { retry: Number(retry), sample: JSON.parse(data!) as Sample }
}

/** Reads the stream of a monitor, as an open page does. */
const watch = (router: Web, path = "/events") =>
  Effect.gen(function* () {
    const samples: Array<Sample> = []
    const retries: Array<number> = []
    const reading = Stream.runForEach(textOf(yield* respond(router, path)), (message) =>
      Effect.sync(() => {
        const { retry, sample } = parse(message)
        samples.push(sample)
        retries.push(retry)
      })
    )
    const fiber = yield* Effect.forkScoped(reading)
    yield* settle
    return { samples, retries, fiber, last: () => samples[samples.length - 1]! }
  })

const eventsOf = (samples: ReadonlyArray<Sample>) => samples.flatMap(({ events }) => events)

const inPage = (html: string, tag: string) => new RegExp(`<${tag}>([^]*)</${tag}>`).exec(html)![1]!

const sha256 = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

/** Counts who listens to a pool's events. */
const observed = (pool: WebSocketPool.WebSocketPool) => {
  const counts = { now: 0, ever: 0 }
  const events = Stream.unwrap(
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => {
          counts.now += 1
          counts.ever += 1
        }),
        () =>
          Effect.sync(() => {
            counts.now -= 1
          })
      ),
      () => pool.events
    )
  )
  const watched: WebSocketPool.WebSocketPool = Object.create(pool, { events: { value: events } })
  return { watched, counts }
}

it("router and record need nothing but a scope", () => {
  type Pools = WebSocketPool.WebSocketPool | ReadonlyArray<WebSocketPool.WebSocketPool>
  expectTypeOf(WebSocketPoolMonitor.router).toEqualTypeOf<MonitorOf<Pools | WebSocketPoolMonitor.Recording>>()
  expectTypeOf(WebSocketPoolMonitor.record).toEqualTypeOf<
    (pools: Pools) => Effect.Effect<WebSocketPoolMonitor.Recording, never, Scope.Scope>
  >()
})

describe("monitor: the page", () => {
  it.effect("is one document that needs nothing else, and may do nothing else", () =>
    Effect.gen(function* () {
      const response = yield* fetchFrom(yield* theMonitor, "/")
      const html = yield* Effect.promise(() => response.text())
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers.get("content-type"), "text/html; charset=utf-8")
      assert.strictEqual(response.headers.get("cache-control"), "no-store")
      assert.strictEqual(response.headers.get("x-content-type-options"), "nosniff")
      assert.deepStrictEqual(response.headers.get("content-security-policy")?.split("; "), [
        "default-src 'none'",
        `script-src ${sha256(inPage(html, "script"))}`,
        `style-src ${sha256(inPage(html, "style"))}`,
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
        "require-trusted-types-for 'script'"
      ])
      assert.notMatch(html, /\ssrc=|@import|url\(|https?:|\sstyle=|\son[a-z]+=/)
    }).pipe(Effect.provide(poolWith()))
  )

  it.effect("has a script without a mistake in its syntax", () =>
    Effect.gen(function* () {
      const response = yield* fetchFrom(yield* theMonitor, "/")
      const script = inPage(yield* Effect.promise(() => response.text()), "script")
      assert.doesNotThrow(() => new Function(script))
    }).pipe(Effect.provide(poolWith()))
  )

  for (const [how, mount, paths] of mountings) {
    it.effect(`is there with its stream when mounted ${how}`, () =>
      Effect.gen(function* () {
        const router = mount(yield* Pool)
        for (const path of paths) {
          const page = yield* fetchFrom(router, path)
          assert.strictEqual(page.status, 200, path)
          // As the script does it.
          const { pathname, search } = new URL(path, "http://app.test")
          const events = `${pathname.replace(/[/]+$/, "")}/events${search}`
          const { last } = yield* watch(router, events)
          assert.strictEqual(last().stats.state, "open", events)
        }
        assert.strictEqual((yield* fetchFrom(router, `${paths[0]}/elsewhere`.replace("//", "/"))).status, 404)
      }).pipe(Effect.scoped, Effect.provide(poolWith()))
    )
  }

  it.effect("can only be read", () =>
    Effect.gen(function* () {
      const router = mounted("/pool", yield* theMonitor)
      for (const path of ["/pool", "/pool/", "/pool/events"]) {
        for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
          const response = yield* fetchFrom(router, path, method)
          assert.strictEqual(response.status, 405, `${method} ${path}`)
          assert.strictEqual(response.headers.get("allow"), "GET, HEAD")
        }
        const head = yield* fetchFrom(router, path, "HEAD")
        assert.strictEqual(head.status, 200)
        assert.strictEqual(yield* Effect.promise(() => head.text()), "")
      }
    }).pipe(Effect.provide(poolWith()))
  )
})

describe("monitor: the stream", () => {
  it.effect("is one of server-sent events that nobody may keep", () =>
    Effect.gen(function* () {
      const { headers } = yield* respond(yield* theMonitor, "/events")
      assert.strictEqual(headers["content-type"], "text/event-stream")
      assert.strictEqual(headers["cache-control"], "no-store")
      assert.strictEqual(headers["x-accel-buffering"], "no")
    }).pipe(Effect.provide(poolWith()))
  )

  it.effect("tells at once how things stand, then every half second", () =>
    Effect.gen(function* () {
      const { last, retries, samples } = yield* watch(yield* theMonitor)
      assert.lengthOf(samples, 1)
      assert.deepStrictEqual(last().stats, yield* WebSocketPool.stats)
      assert.strictEqual(last().pool, "mine")
      const start = last().now

      yield* TestClock.adjust("499 millis")
      assert.lengthOf(samples, 1)
      yield* TestClock.adjust("1 millis")
      assert.lengthOf(samples, 2)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        samples.map(({ now }) => now - start),
        [0, 500, 1000, 1500]
      )
      assert.deepStrictEqual(retries, [2000, 2000, 2000, 2000])
    }).pipe(Effect.scoped, Effect.provide(poolWith({ name: "mine" })))
  )

  it.effect("lists each connection with its state, age and traffic", () =>
    Effect.gen(function* () {
      const { last } = yield* watch(yield* theMonitor)
      assert.deepStrictEqual(last().connections, [])

      const connection = yield* WebSocketPool.get
      yield* connection.send("12345")
      yield* settle
      yield* connection.receive
      yield* WebSocketPool.use(() => Effect.void)
      yield* TestClock.adjust("500 millis")
      const info = yield* connection.info
      assert.strictEqual(info.bytesReceived, 5)
      assert.deepStrictEqual(last().connections?.[0], info)
      assert.deepStrictEqual(
        last().connections?.map(({ id, leases, state }) => [id, state, leases]),
        [
          ["mine-1", "busy", 1],
          ["mine-2", "idle", 1]
        ]
      )
    }).pipe(Effect.scoped, Effect.provide(poolWith({ name: "mine" }, echo)))
  )

  it.effect("lists a connection that is being opened", () =>
    Effect.gen(function* () {
      const { last } = yield* watch(yield* theMonitor)
      yield* Effect.forkScoped(WebSocketPool.use(() => Effect.void))
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(last().stats.connecting, 1)
      assert.deepStrictEqual(
        last().connections?.map(({ id, openedAt, state }) => [id, state, openedAt]),
        [["mine-1", "connecting", 0]]
      )
    }).pipe(Effect.scoped, Effect.provide(poolWith({ name: "mine" }, undefined, () => Effect.sleep("5 seconds"))))
  )

  it.effect("lists five hundred connections, and counts the others", () =>
    Effect.gen(function* () {
      const { last } = yield* watch(yield* theMonitor)
      yield* Effect.forEach(Array.from({ length: 503 }), () => WebSocketPool.get)
      yield* TestClock.adjust("500 millis")
      assert.lengthOf(last().connections!, 500)
      assert.strictEqual(last().connectionsLeftOut, 3)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 600 })))
  )

  it.effect("tells how long it took to connect, to wait and to hold", () =>
    Effect.gen(function* () {
      const { samples } = yield* watch(yield* theMonitor)
      const hold = WebSocketPool.use(() => Effect.sleep("70 millis"))
      yield* Effect.forkScoped(hold)
      yield* TestClock.adjust("10 millis")
      yield* Effect.forkScoped(hold)
      yield* TestClock.adjust("990 millis")
      assert.deepStrictEqual(samples[1]!.latencies, {
        connecting: [[130, 1]], // 125, to two digits
        waited: [
          [130, 1],
          [190, 1]
        ],
        held: [[70, 2]]
      })
      assert.deepStrictEqual(samples[2]!.latencies, { connecting: [], waited: [], held: [] })
    }).pipe(Effect.scoped, Effect.provide(poolWith({ maxConnections: 1 }, undefined, () => Effect.sleep("125 millis"))))
  )

  it.effect("tells what happens, each event once, with what an error says of itself", () =>
    Effect.gen(function* () {
      const { samples } = yield* watch(yield* theMonitor)
      yield* WebSocketPool.use(() => Effect.void)
      const [peer] = yield* peers
      yield* TestClock.adjust("500 millis")
      yield* peer!.destroy
      yield* TestClock.adjust("1 second")
      yield* Effect.flip(WebSocketPool.use(() => Effect.void))
      yield* TestClock.adjust("500 millis")
      const events = eventsOf(samples)
      assert.deepStrictEqual(
        events.map(({ connectionId, detail, kind, tag }) => [tag, connectionId, kind, detail]),
        [
          ["ConnectionOpened", "mine-1", "other", "elapsed 0 ms, attempts 1"],
          ["Acquired", "mine-1", "routine", "waited 0 ms"],
          ["Released", "mine-1", "routine", "held 0 ms"],
          ["ConnectionClosed", "mine-1", "failure", "code 1006, age 500 ms, Remote"],
          [
            "ConnectFailed",
            "",
            "failure",
            'ConnectionUnavailableError (Handshake): Pool "mine" could not connect to ws://server.test/path after 1 ' +
              "attempt: the server refused the WebSocket upgrade with status 404 (the in-memory server's accept refused it). Look at the path of the URL, and at proxies that do not pass the upgrade on"
          ]
        ]
      )
      assert.deepStrictEqual(
        samples.map(({ failures }) => failures),
        [0, 0, 1, 0, 1]
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith({ name: "mine" }, undefined, () =>
          Effect.flatMap(TestClock.currentTimeMillis, (time) => (time < 100 ? Effect.void : Effect.fail(404)))
        )
      )
    )
  )
})

describe("monitor: a suspected leak", () => {
  it.effect("is a failure, shown without what the holder's code looks like", () =>
    Effect.gen(function* () {
      const { samples } = yield* watch(yield* theMonitor)
      yield* Effect.withSpan(WebSocketPool.get, "the holder")
      yield* TestClock.adjust("2 seconds")
      const leaks = eventsOf(samples).filter(({ tag }) => tag === "LeaseLeakSuspected")
      assert.deepStrictEqual(
        leaks.map(({ connectionId, detail, kind }) => [connectionId, detail, kind]),
        [["mine-1", "held 1.0 s", "failure"]]
      )
    }).pipe(Effect.scoped, Effect.provide(poolWith({ name: "mine", leakThreshold: "1 second" })))
  )
})

describe("monitor: what it costs", () => {
  it.effect("nobody listens to the pool while no page is open", () =>
    Effect.gen(function* () {
      const { counts, watched } = observed(yield* Pool)
      const router = mounted("/pool", WebSocketPoolMonitor.router(watched))
      yield* fetchFrom(router, "/pool")
      yield* fetchFrom(router, "/pool/events", "HEAD")
      yield* fetchFrom(router, "/pool/events", "POST")
      yield* respond(router, "/pool/events") // Asked for, and never read.
      assert.strictEqual(counts.ever, 0)

      const first = yield* watch(router, "/pool/events")
      const second = yield* watch(router, "/pool/events")
      assert.strictEqual(counts.now, 2)
      yield* Fiber.interrupt(first.fiber)
      yield* Fiber.interrupt(second.fiber)
      assert.strictEqual(counts.now, 0)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("a page that does not read is told what is newest, and not all that it missed", () =>
    Effect.gen(function* () {
      const pull = yield* Stream.toPull(textOf(yield* respond(yield* theMonitor, "/events")))
      const next = Effect.map(pull, (chunk) => parse(Array.from(chunk).join("")).sample)
      assert.deepStrictEqual((yield* next).events, [])
      yield* settle

      const times = 300
      for (let turn = 0; turn < times; turn += 1) {
        yield* WebSocketPool.use((connection) => connection.discard)
        yield* settle
      }
      const late = yield* Effect.forkChild(next)
      yield* TestClock.adjust("500 millis")
      const { events, latencies, stats } = yield* now(late)
      assert.strictEqual(stats.acquired, times)
      assert.deepStrictEqual(latencies.held, [[0, times]])
      const routine = events.filter(({ kind }) => kind === "routine")
      const others = events.filter(({ kind }) => kind !== "routine")
      assert.lengthOf(routine, 100)
      assert.lengthOf(others, 100)
      assert.strictEqual(others[99]!.detail, "code 1000, age 0 ms, Discarded")
      assert.strictEqual(others[99]!.connectionId, `mine-${times}`)
    }).pipe(Effect.scoped, Effect.provide(poolWith({ name: "mine" })))
  )
})

describe("monitor: the end of a pool", () => {
  it.effect("a pool that is closed while it is watched says so, and the stream ends", () =>
    Effect.gen(function* () {
      const pool = yield* Pool
      const { fiber, last, retries, samples } = yield* watch(WebSocketPoolMonitor.router(pool))
      yield* WebSocketPool.get // Closing waits for it.
      yield* Effect.forkChild(pool.close)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(last().stats.state, "closing")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(last().stats.state, "closed")
      assert.deepStrictEqual(last().connections, [])
      yield* now(fiber)
      assert.deepStrictEqual(
        eventsOf(samples)
          .map(({ tag }) => tag)
          .filter((tag) => tag.startsWith("Pool")),
        ["PoolClosing", "PoolClosed"]
      )
      assert.deepStrictEqual(retries.slice(-2), [2000, 10_000])
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("the page of a pool that was closed before says so", () =>
    Effect.gen(function* () {
      const pool = yield* Pool
      const router = WebSocketPoolMonitor.router(pool)
      yield* pool.close
      assert.strictEqual((yield* fetchFrom(router, "/")).status, 200)
      const { fiber, last, retries, samples } = yield* watch(router)
      yield* now(fiber)
      assert.lengthOf(samples, 1)
      assert.strictEqual(last().stats.state, "closed")
      assert.deepStrictEqual(retries, [10_000])
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )
})

describe("monitor: more than one", () => {
  it.effect("one mounted twice and another of the same pool all show it", () =>
    Effect.gen(function* () {
      const pool = yield* Pool
      const once = WebSocketPoolMonitor.router(pool)
      const router = together(
        mounted("/a", once),
        mounted("/b", once),
        mounted("/c", WebSocketPoolMonitor.router(pool))
      )
      const watching = yield* Effect.forEach(["/a/events", "/b/events", "/c/events", "/a/events"], (path) =>
        watch(router, path)
      )
      yield* WebSocketPool.use(() => Effect.void)
      yield* TestClock.adjust("500 millis")
      yield* pool.close
      yield* TestClock.adjust("500 millis")
      for (const { fiber, last, samples } of watching) {
        yield* now(fiber)
        assert.strictEqual(last().stats.state, "closed")
        assert.deepStrictEqual(
          eventsOf(samples).map(({ tag }) => tag),
          ["ConnectionOpened", "Acquired", "Released", "PoolClosing", "ConnectionClosed", "PoolClosed"]
        )
      }
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )

  it.effect("a pool of somebody else's making is shown without its connections, however its events end", () =>
    Effect.gen(function* () {
      const { ask, close, get, getNew, ready, refresh, resize, stats, use, useNew } = yield* Pool
      const events = Stream.empty
      const pool = { ask, close, events, get, getNew, ready, refresh, resize, stats, use, useNew }
      const { last, samples } = yield* watch(WebSocketPoolMonitor.router(pool))
      yield* WebSocketPool.use(() => Effect.void)
      yield* TestClock.adjust("1 second")
      assert.lengthOf(samples, 3)
      assert.strictEqual(last().stats.idle, 1)
      assert.isNull(last().pool)
      assert.isNull(last().connections)
    }).pipe(Effect.scoped, Effect.provide(poolWith()))
  )
})

describe("monitor: secrets", () => {
  it.effect("nothing of header values, user info or query strings is shown", () =>
    Effect.gen(function* () {
      const router = yield* theMonitor
      const texts: Array<string> = []
      const reading = Stream.runForEach(textOf(yield* respond(router, "/events")), (text) =>
        Effect.sync(() => texts.push(text))
      )
      yield* Effect.forkScoped(reading)
      yield* settle
      yield* Effect.ignore(WebSocketPool.use((connection) => connection.send("hello")))
      yield* TestClock.adjust("1 second")
      yield* Effect.ignore(WebSocketPool.useNew((connection) => connection.send("hello")))
      yield* TestClock.adjust("1 second")
      const page = yield* fetchFrom(router, "/")
      const everything = [...texts, yield* Effect.promise(() => page.text()), ...page.headers].join("\n")
      assert.include(everything, "ConnectFailed")
      assert.include(everything, "ConnectionOpened")
      assert.notInclude(everything.toLowerCase(), "hush")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith(
          {
            url: "wss://user:hush-1@server.test/path?token=hush-2",
            headers: { authorization: Redacted.make("hush-3"), "x-key": "hush-4" },
            retry: undefined,
            onConnect: (connection) => connection.send("hello")
          },
          echo,
          () => Effect.flatMap(TestClock.currentTimeMillis, (time) => (time < 500 ? Effect.fail(401) : Effect.void))
        )
      )
    )
  )
})
