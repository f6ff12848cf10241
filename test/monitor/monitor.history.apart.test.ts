/** What the monitor records, and several pools on one page. */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { type PoolStats, WebSocketPool } from "effect-websocket-pool"
import * as WebSocketPoolMonitor from "effect-websocket-pool/WebSocketPoolMonitor"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Schedule from "#effect/Schedule"
import * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { assert, describe, it } from "#support/vitest"
import { fetchFrom, respond, type Web } from "#support/web"
import { Groups } from "../../src/monitor/groups.js"
import { History } from "../../src/monitor/history.js"
import { merged, percentiles } from "../../src/monitor/percentiles.js"
import { Counter } from "../../src/monitor/times.js"
import type { EventRow, Sample } from "../../src/monitor/wire.js"
import { echo, peers, poolWith, server, settle, url } from "../support/memoryPool.js"

const Pool = WebSocketPool.WebSocketPool

/** A page that is open until the scope closes: the samples it has got. */
const open = (router: Web, path = "/events") =>
  Effect.gen(function* () {
    const samples: Array<Sample> = []
    const response = yield* respond(router, path)
    assert(response.body._tag === "Stream")
    const reading = Stream.runForEach(Stream.decodeText(response.body.stream), (message) =>
      Effect.sync(() => samples.push(JSON.parse(/^data: (.*)$/m.exec(message)![1]!)))
    )
    const fiber = yield* Effect.forkScoped(reading)
    yield* settle
    return { samples, first: samples[0]!, last: () => samples.at(-1)!, close: Fiber.interrupt(fiber) }
  })

const makePool = (options: Partial<WebSocketPool.Options> = {}) => WebSocketPool.make({ url, name: "mine", ...options })

const inMemory = server(echo)

const stats: PoolStats.PoolStats = {
  state: "open",
  minConnections: 0,
  maxConnections: 8,
  total: 3,
  idle: 1,
  busy: 2,
  draining: 0,
  connecting: 0,
  queued: 0,
  closing: 0,
  waiting: 4,
  opened: 3,
  closed: 0,
  closedBy: {
    Idle: 0,
    Expired: 0,
    Unhealthy: 0,
    Dirty: 0,
    DrainTimeout: 0,
    Discarded: 0,
    Remote: 0,
    Refreshed: 0,
    Evicted: 0,
    Reclaimed: 0,
    Shutdown: 0,
    Protocol: 0,
    Closed: 0
  },
  connectFailures: 0,
  acquired: 9,
  released: 7,
  exhausted: 0,
  discarded: 0,
  messagesDropped: 0,
  drainTimeouts: 0,
  healthCheckFailures: 0
}

describe("record", () => {
  it.effect("keeps what happened before the page is opened", () =>
    Effect.gen(function* () {
      const recording = yield* WebSocketPoolMonitor.record(yield* Pool)
      yield* WebSocketPool.use(() => Effect.sleep("70 millis")).pipe(Effect.forkChild)
      yield* TestClock.adjust("2 seconds")
      const [peer] = yield* peers
      yield* peer!.destroy
      yield* TestClock.adjust("3 minutes")

      const { first } = yield* open(WebSocketPoolMonitor.router(recording))
      const { events, moments } = first.history!
      const start = moments[0]!.at
      assert.deepStrictEqual(
        moments.map(({ at }) => at - start),
        Array.from({ length: 183 }, (_, second) => second * 1000)
      )
      assert.deepStrictEqual(
        moments.slice(0, 4).map(({ counts }) => [counts.idle, counts.acquired]),
        [
          [0, 0],
          [1, 1],
          [1, 1],
          [0, 1]
        ]
      )
      assert.deepStrictEqual(moments[1]!.times.held, { p50: 70, p99: 70 })
      assert.deepStrictEqual(
        events.map(({ at, detail, tag }) => [at - start, tag, detail]),
        [
          [0, "ConnectionOpened", "elapsed 0 ms, attempts 1"],
          [2000, "ConnectionClosed", "code 1006, age 2.0 s, Remote"]
        ]
      )
      assert.strictEqual(
        moments.reduce((sum, { failures }) => sum + failures, 0),
        1
      )
      assert.deepStrictEqual(first.events, [])
    }).pipe(Effect.scoped, Effect.provide(poolWith({}, echo)))
  )

  it.effect("keeps ten minutes, and no more", () =>
    Effect.gen(function* () {
      const recording = yield* WebSocketPoolMonitor.record(yield* Pool)
      const start = yield* TestClock.currentTimeMillis
      yield* WebSocketPool.use(() => Effect.void)
      const router = WebSocketPoolMonitor.router(recording)
      const look = Effect.scoped(Effect.map(open(router), ({ first }) => first.history!))

      yield* TestClock.adjust("599 seconds")
      const before = yield* look
      assert.strictEqual(before.moments[0]!.at, start)
      assert.deepStrictEqual(
        before.events.map(({ tag }) => tag),
        ["ConnectionOpened"]
      )
      yield* TestClock.adjust("2 seconds")
      const after = yield* look
      assert.strictEqual(after.moments[0]!.at, start + 2000)
      assert.lengthOf(after.moments, 600)
      assert.deepStrictEqual(after.events, [])
    }).pipe(Effect.scoped, Effect.provide(poolWith({ pingInterval: "1 hour", idleTimeout: "1 hour" }, echo)))
  )

  it.effect("draws percentiles of thirty seconds", () =>
    Effect.gen(function* () {
      const recording = yield* WebSocketPoolMonitor.record(yield* Pool)
      yield* Effect.forkChild(WebSocketPool.use(() => Effect.sleep("50 millis")))
      yield* TestClock.adjust("40 seconds")
      const { first } = yield* open(WebSocketPoolMonitor.router(recording))
      const held = first.history!.moments.map(({ times }) => times.held?.p99 ?? null)
      assert.deepStrictEqual(held.slice(0, 2), [null, 50])
      assert.strictEqual(held[30], 50)
      assert.isNull(held[31])
    }).pipe(Effect.scoped, Effect.provide(poolWith({}, echo)))
  )

  it.effect("makes no event for a lease, and stops with its scope", () =>
    Effect.gen(function* () {
      const pool = yield* makePool()
      const hub: unknown = Reflect.get(Reflect.get(pool, "journal"), "hub")
      const heard = () => [Reflect.get(hub as object, "isObserved"), Reflect.get(hub as object, "isFollowed")]
      const scope = yield* Scope.make()
      assert.deepStrictEqual(heard(), [false, false])
      const recording = yield* Scope.provide(WebSocketPoolMonitor.record(pool), scope)
      assert.deepStrictEqual(heard(), [true, false])
      yield* TestClock.adjust("5 seconds")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(heard(), [false, false])

      // It goes on as without one: while a page is open, and not in between.
      yield* TestClock.adjust("5 seconds")
      const { first } = yield* open(WebSocketPoolMonitor.router(recording))
      assert.deepStrictEqual(heard(), [true, true])
      const start = first.history!.moments[0]!.at
      assert.deepStrictEqual(
        first.history!.moments.map(({ at }) => (at - start) / 1000),
        [0, 1, 2, 3, 4, 5, 10]
      )
    }).pipe(Effect.scoped, Effect.provide(inMemory))
  )

  it.effect("puts the failures of an outage on one line", () =>
    Effect.gen(function* () {
      const recording = yield* WebSocketPoolMonitor.record(yield* Pool)
      for (let second = 0; second < 60; second += 1) {
        yield* Effect.ignore(WebSocketPool.use(() => Effect.void))
        yield* TestClock.adjust("1 seconds")
      }
      const { first } = yield* open(WebSocketPoolMonitor.router(recording))
      const { events, moments } = first.history!
      assert.deepStrictEqual(
        events.map(({ at, count, since, tag }) => [tag, count, (at - since) / 1000]),
        [["ConnectFailed", 60, 59]]
      )
      assert.strictEqual(
        moments.reduce((sum, { failures }) => sum + failures, 0),
        60
      )
    }).pipe(Effect.scoped, Effect.provide(poolWith({ retry: Schedule.recurs(0) }, echo, () => Effect.fail(503))))
  )
})

describe("without a recording", () => {
  it.effect("history begins with the first page, and outlasts it", () =>
    Effect.gen(function* () {
      const router = WebSocketPoolMonitor.router(yield* Pool)
      yield* WebSocketPool.use(() => Effect.void)
      yield* TestClock.adjust("5 seconds")
      const start = yield* TestClock.currentTimeMillis
      const page = yield* open(router)
      assert.deepStrictEqual(
        page.first.history!.moments.map(({ at }) => at - start),
        [0]
      )
      yield* WebSocketPool.use((connection) => connection.discard)
      yield* TestClock.adjust("2 seconds")
      assert.isUndefined(page.last().history)
      const other = yield* open(router)
      const seen = other.first.history!
      assert.deepStrictEqual(
        seen.moments.map(({ at }) => at - start),
        [0, 1000, 2000]
      )
      assert.deepStrictEqual(
        seen.events.map(({ tag }) => tag),
        ["ConnectionClosed"]
      )
      yield* page.close
      yield* other.close
      yield* TestClock.adjust("1 minute")
      const reloaded = yield* open(router)
      assert.deepStrictEqual(
        reloaded.first.history!.moments.map(({ at }) => at - start),
        [0, 1000, 2000, 62_000]
      )
    }).pipe(Effect.scoped, Effect.provide(poolWith({}, echo)))
  )

  it.effect("a pool of somebody else's making is recorded by its events, and one that cannot tell does no harm", () =>
    Effect.gen(function* () {
      const pool = yield* makePool()
      const members = [
        "ask",
        "close",
        "events",
        "get",
        "getNew",
        "ready",
        "refresh",
        "resize",
        "stats",
        "use",
        "useNew"
      ] as const
      const foreign = Object.fromEntries(members.map((member) => [member, pool[member]])) as unknown as typeof pool
      const broken = { ...foreign, stats: Effect.die("cannot tell"), events: Stream.die("cannot tell") }
      const recording = yield* WebSocketPoolMonitor.record([foreign, broken])
      yield* TestClock.adjust("1 second")
      yield* Effect.forkChild(pool.use((connection) => Effect.andThen(connection.discard, Effect.sleep("30 millis"))))
      yield* TestClock.adjust("2 seconds")
      const { first } = yield* open(WebSocketPoolMonitor.router(recording))
      const { events, moments } = first.history!
      assert.deepStrictEqual(
        events.map(({ tag }) => tag),
        ["ConnectionOpened", "ConnectionClosed"]
      )
      assert.deepStrictEqual(moments.at(-1)!.times.held, { p50: 30, p99: 30 })
      assert.deepStrictEqual(
        first.pools.map(({ name }) => name),
        ["WebSocket pool (1)", "WebSocket pool (2)"]
      )
    }).pipe(Effect.scoped, Effect.provide(inMemory))
  )
})

describe("several pools", () => {
  it.effect("are shown on one page, and those of one name are numbered", () =>
    Effect.gen(function* () {
      const pools = [yield* makePool(), yield* makePool({ name: "other", maxConnections: 3 }), yield* makePool()]
      yield* pools[1]!.get
      yield* pools[2]!.get
      yield* pools[2]!.get
      const router = WebSocketPoolMonitor.router(pools)
      const names = ["mine (1)", "other", "mine (2)"]
      for (const [index, busy] of [0, 1, 2].entries()) {
        const { first } = yield* open(router, `/events?pool=${index}`)
        assert.strictEqual(first.pool, names[index])
        assert.strictEqual(first.stats.busy, busy)
        assert.deepStrictEqual(
          first.pools.map(({ busy, name }) => [name, busy]),
          names.map((name, index) => [name, index])
        )
      }
    }).pipe(Effect.scoped, Effect.provide(inMemory))
  )

  it.effect("all have a history from the first page on, whichever of them it shows", () =>
    Effect.gen(function* () {
      const pools = [yield* makePool(), yield* makePool({ name: "other" })]
      const router = WebSocketPoolMonitor.router(pools)
      yield* open(router, "/events?pool=0")
      yield* pools[1]!.use((connection) => connection.discard)
      yield* TestClock.adjust("3 seconds")
      const { first } = yield* open(router, "/events?pool=1")
      assert.lengthOf(first.history!.moments, 4)
      assert.deepStrictEqual(
        first.history!.events.map(({ tag }) => tag),
        ["ConnectionOpened", "ConnectionClosed"]
      )
    }).pipe(Effect.scoped, Effect.provide(inMemory))
  )

  for (const query of ["", "?pool=7", "?pool=-1", "?pool=a", "?pool", "?token=1&pool=0"]) {
    it.effect(`shows the first one for "${query}"`, () =>
      Effect.gen(function* () {
        const router = WebSocketPoolMonitor.router([yield* makePool(), yield* makePool({ name: "other" })])
        const { first } = yield* open(router, `/events${query}`)
        assert.strictEqual(first.pool, "mine")
      }).pipe(Effect.scoped, Effect.provide(inMemory))
    )
  }

  it.effect("may be none", () =>
    Effect.gen(function* () {
      const router = WebSocketPoolMonitor.router([])
      assert.strictEqual((yield* fetchFrom(router, "/")).status, 200)
      assert.strictEqual((yield* fetchFrom(router, "/events")).status, 404)
      const state = yield* fetchFrom(router, "/state.json")
      assert.deepStrictEqual(yield* Effect.promise(() => state.json()), { pools: [] })
    })
  )

  it.effect("are a list of its own: what is done to the caller's later changes nothing", () =>
    Effect.gen(function* () {
      const pools = [yield* makePool()]
      const router = WebSocketPoolMonitor.router(pools)
      pools.length = 0
      const { first } = yield* open(router)
      assert.strictEqual(first.pool, "mine")
    }).pipe(Effect.scoped, Effect.provide(inMemory))
  )
})

describe("/state.json", () => {
  it.effect("is the state of every pool now", () =>
    Effect.gen(function* () {
      const pools = [yield* makePool({ acquireTimeout: "90 seconds" }), yield* makePool()]
      const connection = yield* pools[0]!.get
      const response = yield* fetchFrom(WebSocketPoolMonitor.router(pools), "/state.json")
      assert.strictEqual(response.headers.get("content-type"), "application/json")
      assert.strictEqual(response.headers.get("cache-control"), "no-store")
      assert.strictEqual(response.headers.get("x-content-type-options"), "nosniff")
      const text = yield* Effect.promise(() => response.text())
      const state = JSON.parse(text)
      assert.strictEqual(state.pools[1].pool, "mine (2)")
      const [{ connections, options, pool, stats }] = state.pools
      assert.strictEqual(pool, "mine (1)")
      const { oldestLease, ...counts } = yield* pools[0]!.stats
      assert.isDefined(oldestLease)
      assert.deepStrictEqual(stats, { ...counts, oldestLease: { connectionId: "mine-1", held: 0, quietFor: 0 } })
      assert.deepStrictEqual(connections, [yield* connection.info])
      assert.strictEqual(options.acquireTimeout, "1m 30s")
      assert.strictEqual(options.drain, "off")
      assert.strictEqual(options.receiveBuffer, "1 MiB")
    }).pipe(Effect.scoped, Effect.provide(inMemory))
  )
})

/** What a fixture prints, in a process of its own. Each edition has a configuration for tsx, by which it finds its sources. */
const measured = async (fixture: string): Promise<string> => {
  const file = fileURLToPath(new URL(`../fixtures/${fixture}`, import.meta.url))
  const env = {
    ...process.env,
    TSX_TSCONFIG_PATH: existsSync("tsconfig.tsx.json") ? "tsconfig.tsx.json" : "tsconfig.json"
  }
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", "--import", "tsx", file], { env })
  return stdout
}

describe("fifty pages that hang", () => {
  it("take a bounded memory each, whatever happens meanwhile, and leave none", { timeout: 120_000 }, async () => {
    const stdout = await measured("monitorPages.ts")
    const { hasGc, left, perPage } = JSON.parse(stdout)
    assert.isTrue(hasGc)
    assert.isBelow(perPage, 256 * 1024)
    assert.isAbove(perPage, 10 * 1024) // Else it has not measured what it is about.
    assert.isBelow(left, 20 * 1024)
  })
})

describe("History", () => {
  it("takes less than 1 MiB a pool, whatever happens", { timeout: 240_000 }, async () => {
    const stdout = await measured("monitorMemory.ts")
    const { bytes, hasGc, moments } = JSON.parse(stdout)
    assert.isTrue(hasGc)
    assert.strictEqual(moments, 600)
    assert.isBelow(bytes, 1024 * 1024)
    assert.isAbove(bytes, 100 * 1024) // Else it has not measured what it is about.
  })

  it("begins anew when the clock is set back", () => {
    let now = 20_000
    const history = new History(() => now)
    history.event({ _tag: "PoolClosing", pool: "p" })
    history.record(stats, undefined)
    now = 5000
    history.record(stats, undefined)
    now = 6000
    history.record(stats, undefined)
    const { events, latencies, moments } = history.read()
    assert.deepStrictEqual(
      moments.map(({ at }) => at),
      [5000, 6000]
    )
    assert.lengthOf(latencies, 2)
    assert.deepStrictEqual(events, [])
  })

  it("keeps the numbers as they were", () => {
    const history = new History(() => 5)
    history.acquired(12)
    history.event({ _tag: "PoolClosing", pool: "p" })
    const busyStats: PoolStats.PoolStats = {
      ...stats,
      closedBy: { ...stats.closedBy, Remote: 3, Unhealthy: 2, Idle: 9 },
      oldestLease: { connectionId: "p-1", held: Duration.seconds(7), quietFor: Duration.seconds(1) },
      longestWait: Duration.seconds(2)
    }
    const requests = { inFlight: 40, abandoned: 3, streams: 2, lagged: 1 }
    history.record(busyStats, requests)
    const { busy, draining, connecting, closing, idle, waiting, total, maxConnections, acquired, opened, exhausted } =
      stats
    assert.deepStrictEqual(history.read().moments, [
      {
        at: 5,
        counts: {
          busy,
          draining,
          connecting,
          closing,
          idle,
          waiting,
          total,
          maxConnections,
          acquired,
          opened,
          exhausted
        },
        failures: 0,
        lost: 5,
        times: { waited: { p50: 12, p99: 12 }, held: null, connecting: null },
        ongoing: { oldestLease: 7000, longestWait: 2000 },
        requests
      }
    ])
  })
})

describe("Groups", () => {
  const row = (at: number, group = "a", text = ""): EventRow => {
    return { at, since: at, count: 1, kind: "other", tag: "T", connectionId: "", detail: text, group }
  }
  const summary = (groups: Groups) => groups.all().map(({ at, count, group, since }) => [group, since, at, count])

  it("puts events of a group on one line that are at most ten seconds apart, whatever comes in between", () => {
    const groups = new Groups(10)
    for (const [at, group] of [
      [0, "a"],
      [1, "b"],
      [10_000, "a"],
      [20_000, "a"],
      [30_001, "a"]
    ] as const) {
      groups.add(row(at, group))
    }
    assert.deepStrictEqual(summary(groups), [
      ["b", 1, 1, 1],
      ["a", 0, 20_000, 3],
      ["a", 30_001, 30_001, 1]
    ])
  })

  it("lets the oldest make way, for rows and for bytes", () => {
    const few = new Groups(2)
    for (const group of ["a", "b", "c"]) few.add(row(0, group))
    assert.deepStrictEqual(
      few.all().map(({ group }) => group),
      ["b", "c"]
    )
    const small = new Groups(100, 2000)
    for (const group of ["a", "b", "c"]) small.add(row(0, group, "x".repeat(350)))
    assert.deepStrictEqual(
      small.all().map(({ group }) => group),
      ["b", "c"]
    )
    small.add(row(0, "d", "x".repeat(5000)))
    assert.deepStrictEqual(small.all(), [])
  })
})

describe("Counter", () => {
  it("counts to two digits, from nothing to a day", () => {
    const cases = [
      [0, 0],
      [-1, 0],
      [Number.NaN, 0],
      [0.4, 0],
      [0.5, 1],
      [99.4, 99],
      [99.5, 100],
      [104, 100],
      [105, 110],
      [125, 130],
      [994, 990],
      [995, 1000],
      [1249, 1200],
      [86_400_000, 86_000_000],
      [1e12, 99_000_000],
      [Number.POSITIVE_INFINITY, 99_000_000]
    ] as const
    for (const [millis, expected] of cases) {
      const counter = new Counter()
      counter.add(millis)
      assert.deepStrictEqual(counter.take(), [[expected, 1]], String(millis))
      assert.deepStrictEqual(counter.take(), [])
    }
  })
})

describe("percentiles", () => {
  it("are the least times that half and 99 of 100 do not exceed", () => {
    assert.isNull(percentiles([]))
    const upTo100 = Array.from({ length: 100 }, (_, index) => [100 - index, 1] as const)
    assert.deepStrictEqual(percentiles(merged([upTo100])), { p50: 50, p99: 99 })
    assert.deepStrictEqual(percentiles(merged([[[9, 1]], [[7, 99]]])), { p50: 7, p99: 7 })
    assert.deepStrictEqual(percentiles(merged([[[7, 90]], [[9, 2]], [[7, 8]]])), { p50: 7, p99: 9 })
  })
})
