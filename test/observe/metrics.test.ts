import { readFileSync } from "node:fs"
import { WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import * as Deferred from "#effect/Deferred"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Schedule from "#effect/Schedule"
import * as TestClock from "#effect/testing/TestClock"
import { exported, labelled, metricsOf } from "#support/telemetry"
import { assert, describe, it } from "#support/vitest"
import { echo, listen, now, peers, poolWith, settle } from "../support/memoryPool.js"

const Pool = WebSocketPool.WebSocketPool

const prefix = "websocket.client.connection"

/** The registry is one for all tests, so every pool has a name of its own. */
let pools = 0
const named = (): string => `pool-${++pools}`

const touch = WebSocketPool.use(() => Effect.void)

const states = (name: string) => {
  const metrics = metricsOf(name)
  const of = (state: string) => metrics[`${prefix}.count{state=${state}}`]
  return {
    idle: of("idle"),
    busy: of("used"),
    draining: of("draining"),
    connecting: of("connecting"),
    closing: of("closing"),
    waiting: metrics[`${prefix}.pending_requests`],
    minConnections: metrics[`${prefix}.min`],
    maxConnections: metrics[`${prefix}.max`]
  }
}

/** The same of the pool's own statistics. */
const stats = Effect.map(
  WebSocketPool.stats,
  ({ busy, closing, connecting, draining, idle, maxConnections, minConnections, waiting }) => ({
    idle,
    busy,
    draining,
    connecting,
    closing,
    waiting,
    minConnections,
    maxConnections
  })
)

const nothing = {
  idle: 0,
  busy: 0,
  draining: 0,
  connecting: 0,
  closing: 0,
  waiting: 0,
  minConnections: 0,
  maxConnections: 0
}

describe("the metrics", () => {
  it.effect("follow a connection through every state, and agree with stats", () => {
    const name = named()
    const same = (expected: Partial<ReturnType<typeof states>>) =>
      Effect.map(stats, (stats) => {
        assert.deepStrictEqual(states(name), stats)
        assert.deepInclude(states(name), { ...nothing, maxConnections: 50, ...expected })
      })
    return Effect.gen(function* () {
      yield* same({})
      const release = yield* Deferred.make<void>()
      const holder = yield* Effect.forkChild(WebSocketPool.use(() => Deferred.await(release)))
      yield* settle
      yield* same({ connecting: 1, waiting: 1 })
      yield* TestClock.adjust("1 second")
      yield* same({ busy: 1 })
      yield* Deferred.succeed(release, undefined)
      yield* settle
      yield* now(holder)
      yield* same({ draining: 1 })
      yield* TestClock.adjust("100 millis")
      yield* same({ idle: 1 })
      yield* TestClock.adjust("10 seconds")
      yield* (yield* peers)[0]!.silence
      yield* Effect.forkChild(touch)
      yield* settle
      yield* same({ busy: 1, waiting: 1 }) // It is checked.
      yield* TestClock.adjust("1 second")
      yield* same({ connecting: 1, waiting: 1 })
      yield* TestClock.adjust("2 seconds")
      yield* same({ idle: 1 })
      yield* (yield* peers)[1]!.silence
      yield* (yield* Pool).refresh
      yield* same({ closing: 1 })
    }).pipe(
      Effect.provide(poolWith({ name, drain: { quietPeriod: "100 millis" } }, listen, () => Effect.sleep("1 second")))
    )
  })

  it.effect("have histograms of waiting, holding, connecting and draining, in seconds", () => {
    const name = named()
    return Effect.gen(function* () {
      yield* Effect.forkChild(WebSocketPool.use(() => Effect.sleep("7 seconds")))
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(metricsOf(name), {
        [`${prefix}.wait_time:count`]: 1,
        [`${prefix}.wait_time:sum`]: 2,
        [`${prefix}.use_time:count`]: 1,
        [`${prefix}.use_time:sum`]: 7,
        [`${prefix}.create_time:count`]: 1,
        [`${prefix}.create_time:sum`]: 2,
        [`${prefix}.drain_time:count`]: 1,
        [`${prefix}.drain_time:sum`]: 0.5
      })
      yield* touch // Warm: no wait, but counted.
      yield* settle
      assert.deepInclude(metricsOf(name), { [`${prefix}.wait_time:count`]: 2, [`${prefix}.wait_time:sum`]: 2 })
    }).pipe(
      Effect.provide(poolWith({ name, drain: { quietPeriod: "500 millis" } }, listen, () => Effect.sleep("2 seconds")))
    )
  })

  it.effect("count connections opened, and closed by reason", () => {
    const name = named()
    const closed = (reason: string) => metricsOf(name)[`${prefix}.closed{reason=${reason}}`]
    return Effect.gen(function* () {
      yield* touch
      yield* Effect.exit(WebSocketPool.use(() => Effect.fail("no")))
      yield* settle
      assert.strictEqual(closed("Discarded"), 1)
      assert.strictEqual(metricsOf(name)[`${prefix}.discarded`], 1)
      yield* touch
      yield* (yield* peers)[1]!.destroy
      yield* settle
      assert.strictEqual(closed("Remote"), 1)
      yield* touch
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual(closed("Idle"), 1)
      assert.strictEqual(metricsOf(name)[`${prefix}.opened`], 3)
      assert.strictEqual(closed("Evicted"), 0)
    }).pipe(Effect.provide(poolWith({ name })))
  })

  it.effect("count failed attempts, and gets that failed, by reason", () => {
    const name = named()
    return Effect.gen(function* () {
      yield* Effect.forkChild(Effect.exit(touch))
      yield* TestClock.adjust("1 second")
      assert.deepInclude(metricsOf(name), {
        [`${prefix}.failures{reason=Handshake}`]: 2,
        [`${prefix}.failures{reason=Network}`]: 0,
        [`${prefix}.timeouts`]: 0
      })
    }).pipe(
      Effect.provide(poolWith({ name, retry: Schedule.recurs(1) }, listen, () => Effect.fail(503))),
      Effect.andThen(
        Effect.gen(function* () {
          yield* Effect.forkChild(WebSocketPool.use(() => Effect.never))
          yield* settle
          yield* Effect.forkChild(Effect.exit(touch))
          yield* settle
          yield* Effect.exit(touch)
          yield* TestClock.adjust("30 seconds")
          assert.deepInclude(metricsOf(`${name}-full`), {
            [`${prefix}.exhausted{reason=TooManyWaiters}`]: 1,
            [`${prefix}.exhausted{reason=AcquireTimeout}`]: 1,
            [`${prefix}.timeouts`]: 1
          })
        }).pipe(Effect.provide(poolWith({ name: `${name}-full`, maxConnections: 1, maxWaiters: 1 })))
      )
    )
  })

  it.effect("count messages and bytes each way, and dropped messages, as info and stats do", () => {
    const name = named()
    return Effect.gen(function* () {
      const info = yield* WebSocketPool.use((connection) =>
        Effect.gen(function* () {
          yield* connection.send("grüße")
          yield* connection.receive
          yield* connection.send(new Uint8Array(100))
          yield* connection.receive
          return yield* connection.info
        })
      )
      yield* (yield* peers)[0]!.send("stray")
      yield* settle
      assert.deepInclude(metricsOf(name), {
        "websocket.client.messages{direction=sent}": info.messagesSent,
        "websocket.client.messages{direction=received}": info.messagesReceived + 1,
        "websocket.client.bytes{direction=sent}": info.bytesSent,
        "websocket.client.bytes{direction=received}": info.bytesReceived + 5,
        "websocket.client.dropped_messages": 1
      })
      assert.strictEqual(info.bytesSent, 107)
      assert.strictEqual((yield* WebSocketPool.stats).messagesDropped, 1)
    }).pipe(Effect.provide(poolWith({ name }, echo)))
  })

  it.effect("follow a resize", () => {
    const name = named()
    return Effect.gen(function* () {
      assert.deepInclude(states(name), { minConnections: 2, maxConnections: 50 })
      yield* (yield* Pool).resize({ minConnections: 1, maxConnections: 7 })
      assert.deepInclude(states(name), { minConnections: 1, maxConnections: 7 })
    }).pipe(Effect.provide(poolWith({ name, minConnections: 2 })))
  })

  it.effect("leave nothing behind of a pool that has closed, but what has happened", () => {
    const name = named()
    return Effect.gen(function* () {
      yield* Effect.gen(function* () {
        yield* touch
        yield* Effect.forkChild(touch)
      }).pipe(Effect.provide(poolWith({ name, minConnections: 3 })))
      assert.deepStrictEqual(states(name), nothing)
      assert.strictEqual(metricsOf(name)[`${prefix}.closed{reason=Shutdown}`], 3)
    })
  })

  it.effect("leave nothing behind of one that could not wait for its sockets", () => {
    const name = named()
    const socket: WebSocketTransport.TransportSocket = {
      protocol: "",
      isOpen: true,
      bufferedAmount: 0,
      progress: 0,
      send: () => 0,
      ping: () => {},
      pause: () => {},
      resume: () => {},
      close: () => {},
      destroy: () => {} // It never goes.
    }
    const stuck = Layer.succeed(WebSocketTransport.WebSocketTransport, {
      connect: (_, events) => Effect.sync(() => events.onOpen(socket))
    })
    return Effect.gen(function* () {
      const pool = yield* Pool
      yield* Effect.forkChild(pool.use(() => Effect.sleep("1 minute")))
      yield* Effect.forkChild(pool.use(() => Effect.sleep("1 minute")))
      yield* settle
      assert.strictEqual(states(name).busy, 2)
      const close = yield* Effect.forkChild(pool.close)
      yield* TestClock.adjust("7 seconds")
      // The sockets are given some turns of the event loop, for which nobody who sets the clock waits.
      yield* Fiber.join(close)
      const { closing, state } = yield* pool.stats
      assert.deepStrictEqual({ closing, state }, { closing: 2, state: "closed" })
      assert.deepStrictEqual(states(name), nothing)
    }).pipe(Effect.provide(Layer.provide(WebSocketPool.layer({ url: "ws://server.test", name }), stuck)))
  })

  it.effect("of pools with the same name add up, and one that closes takes only its own away", () => {
    const name = named()
    return Effect.gen(function* () {
      yield* touch
      yield* Effect.gen(function* () {
        yield* touch
        assert.deepInclude(states(name), { idle: 2, maxConnections: 60 })
      }).pipe(Effect.provide(poolWith({ name, maxConnections: 10 })))
      assert.deepInclude(states(name), { idle: 1, maxConnections: 50 })
      assert.strictEqual(metricsOf(name)[`${prefix}.opened`], 2)
    }).pipe(Effect.provide(poolWith({ name, idleTimeout: "1 hour" })))
  })

  // Each pool had histograms of its own: a program that made pools all the time had ever more, and exported them all.
  it.effect("of pools with the same name are the same, histograms included", () => {
    const name = named()
    return Effect.gen(function* () {
      for (let pools = 0; pools < 3; pools++) yield* Effect.provide(touch, poolWith({ name }))
      assert.deepInclude(metricsOf(name), { [`${prefix}.use_time:count`]: 3, [`${prefix}.wait_time:count`]: 3 })
      const series = exported().flatMap(({ labels, name: of }) =>
        labels["pool.name"] === name ? [JSON.stringify([of, labels])] : []
      )
      assert.lengthOf(series, new Set(series).size)
    })
  })

  it.effect("tell what goes on now: the oldest lease, the longest wait, an outage", () => {
    const name = named()
    const gauges = () => {
      const metrics = metricsOf(name)
      const of = (gauge: string) => metrics[`${prefix}.${gauge}_time`]
      return [of("oldest_lease"), of("oldest_lease_quiet"), of("longest_wait"), of("outage")]
    }
    const server = { isAway: false }
    return Effect.gen(function* () {
      assert.deepStrictEqual(gauges(), [0, 0, 0, 0])
      yield* Effect.forkChild(WebSocketPool.use(() => Effect.never))
      yield* TestClock.adjust("2 seconds")
      yield* (yield* peers)[0]!.send("?")
      yield* Effect.forkChild(Effect.exit(touch))
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(gauges(), [5, 3, 3, 0])
      server.isAway = true
      yield* (yield* peers)[0]!.destroy // Its place is free, and the server away.
      yield* TestClock.adjust("4 seconds")
      const [oldest, quiet, , outage] = gauges()
      assert.deepStrictEqual([oldest, quiet], [0, 0])
      assert.strictEqual(outage, 4)
      server.isAway = false
      yield* Effect.exit(touch)
      assert.deepStrictEqual(gauges(), [0, 0, 0, 0])
    }).pipe(
      Effect.provide(
        poolWith({ name, maxConnections: 1, retry: Schedule.recurs(0) }, listen, () =>
          Effect.suspend(() => (server.isAway ? Effect.fail(503) : Effect.void))
        )
      )
    )
  })

  it.effect("show the worst of pools of one name, and nothing of one that is gone", () => {
    const name = named()
    const oldest = () => metricsOf(name)[`${prefix}.oldest_lease_time`]
    return Effect.gen(function* () {
      yield* Effect.gen(function* () {
        yield* Effect.forkChild(WebSocketPool.use(() => Effect.never))
        yield* TestClock.adjust("3 seconds")
        yield* Effect.gen(function* () {
          yield* Effect.forkChild(WebSocketPool.use(() => Effect.never))
          yield* TestClock.adjust("1 second")
          assert.strictEqual(oldest(), 4)
        }).pipe(Effect.provide(poolWith({ name })))
        assert.isAtLeast(oldest() ?? 0, 4)
      }).pipe(Effect.provide(poolWith({ name })))
      assert.strictEqual(oldest(), 0)
    })
  })

  it.effect("time the waits that got nothing, by how they ended", () => {
    const name = named()
    return Effect.gen(function* () {
      yield* Effect.forkChild(WebSocketPool.use(() => Effect.never))
      yield* settle
      yield* Effect.forkChild(Effect.exit(touch))
      yield* Effect.forkChild(Effect.exit(Effect.timeout(touch, "4 seconds")))
      yield* TestClock.adjust("30 seconds")
      assert.deepInclude(metricsOf(name), {
        [`${prefix}.lost_wait_time{outcome=Failed}:count`]: 1,
        [`${prefix}.lost_wait_time{outcome=Failed}:sum`]: 30,
        [`${prefix}.lost_wait_time{outcome=Interrupted}:count`]: 1,
        [`${prefix}.lost_wait_time{outcome=Interrupted}:sum`]: 4,
        [`${prefix}.wait_time:count`]: 1
      })
    }).pipe(
      Effect.provide(poolWith({ name, maxConnections: 1 })),
      // Waits that the end of the pool ends are no failures.
      Effect.tap(() =>
        Effect.sync(() => assert.strictEqual(metricsOf(name)[`${prefix}.lost_wait_time{outcome=Failed}:count`], 1))
      )
    )
  })

  it.effect("have the labels of the fiber that made the pool", () => {
    const name = named()
    return touch.pipe(
      Effect.provide(poolWith({ name })),
      labelled("region", "eu"),
      Effect.tap(() =>
        Effect.sync(() => {
          assert.strictEqual(metricsOf(name)[`${prefix}.opened{region=eu}`], 1)
          assert.isUndefined(metricsOf(name)[`${prefix}.opened`])
        })
      )
    )
  })
})

describe("the guide", () => {
  const guide = readFileSync(new URL("../../docs/guides/observability.md", import.meta.url), "utf8")

  /** The rows of the table of metrics: name, kind, unit, labels. */
  const rows = guide
    .split("\n")
    .filter((line) => line.startsWith("| `websocket.client."))
    .map((line) => line.split("|").map((cell) => cell.trim().replaceAll("`", "")))
    .map(([, name, kind, unit, labels]) => ({ name, kind, unit, labels }))

  it.effect("names every metric with its kind, unit and labels", () => {
    const name = named()
    return Effect.sync(() => {
      const found = new Map<string | undefined, { kind: string; unit: string; labels: Map<string, Set<string>> }>()
      for (const { kind, labels, name: metric } of exported()) {
        if (labels["pool.name"] !== name) continue
        const one = found.get(metric) ?? { kind, unit: labels.unit ?? "", labels: new Map<string, Set<string>>() }
        found.set(metric, one)
        for (const [key, value] of Object.entries(labels)) {
          if (key === "pool.name" || key === "unit") continue
          const values = one.labels.get(key) ?? new Set()
          one.labels.set(key, values.add(value))
        }
      }
      const expected = Array.from(found, ([name, { kind, labels, unit }]) => ({
        name,
        kind,
        unit,
        labels: Array.from(labels, ([label, values]) => `${label}: ${[...values].join(", ")}`).join("; ")
      }))
      assert.deepStrictEqual(rows, expected)
    }).pipe(Effect.provide(poolWith({ name })))
  })
})
