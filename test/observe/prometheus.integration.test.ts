/** The metrics as Prometheus scrapes them from the example, and the dashboard that asks for them. */
import { readFileSync } from "node:fs"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import * as Context from "#effect/Context"
import * as Deferred from "#effect/Deferred"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Schedule from "#effect/Schedule"
import { PrometheusLive, Scrape } from "#examples/metrics"
import { quietly } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { wsServer } from "../fixtures/servers.js"

interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** The samples of a text in Prometheus's format of exposition. */
const parse = (text: string): ReadonlyArray<Sample> =>
  text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [, name, labels = "", value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? assert.fail(line)
      return {
        name: name!,
        labels: Object.fromEntries(Array.from(labels.matchAll(/(\w+)="([^"]*)"/g), ([, key, value]) => [key, value])),
        value: Number(value)
      }
    })

const scrape = Effect.flatMap(Scrape, ({ url }) =>
  Effect.promise(async () => {
    const response = await fetch(url)
    assert.strictEqual(response.status, 200)
    return parse(await response.text())
  })
)

/** The registry of metrics is one for all: each pool has a name of its own. */
let pools = 0

const statsWith = (condition: (stats: WebSocketPool.PoolStats) => boolean) =>
  Effect.repeat(WebSocketPool.stats, { until: condition, schedule: Schedule.spaced("2 millis") }).pipe(
    Effect.andThen(WebSocketPool.stats)
  )

/** Something of everything, and what is scraped then. */
const scenario = Effect.gen(function* () {
  const name = `scraped-${++pools}`
  let attempts = 0
  const { port } = yield* wsServer((socket) => socket.on("message", (data) => socket.send(`${data}`)))
  const layer = Layer.merge(
    PrometheusLive(0),
    NodeWebSocketPool.layer({
      url: Effect.suspend(() => (++attempts === 1 ? Effect.fail("not yet") : Effect.succeed(`ws://127.0.0.1:${port}`))),
      name,
      maxConnections: 2,
      maxWaiters: 0,
      retry: Schedule.recurs(1),
      drain: { quietPeriod: "5 millis" }
    })
  )
  const ask = WebSocketPool.use((connection) => Effect.andThen(connection.send("hello"), connection.receive))
  return yield* Effect.provide(
    Effect.gen(function* () {
      yield* ask
      yield* statsWith(({ idle }) => idle === 1)
      yield* Effect.exit(WebSocketPool.use(() => Effect.fail("no")))
      yield* statsWith(({ total }) => total === 0)
      const release = yield* Deferred.make<void>()
      const holders = yield* Effect.replicateEffect(
        Effect.forkChild(WebSocketPool.use(() => Deferred.await(release))),
        2
      )
      yield* statsWith(({ busy }) => busy === 2)
      yield* Effect.exit(ask)
      yield* Effect.exit(ask)
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.joinAll(holders)
      const stats = yield* statsWith(({ idle }) => idle === 2)
      return { name, stats, samples: yield* scrape }
    }),
    layer
  ).pipe(quietly)
})

describe("the example", () => {
  it.live("is scraped: its figures are those of stats", () =>
    Effect.gen(function* () {
      const { name: pool, samples, stats } = yield* scenario
      const value = (name: string, labels: Readonly<Record<string, string>> = {}): number => {
        const found = samples.filter(
          (sample) =>
            sample.name === name &&
            Object.entries({ pool_name: pool, ...labels }).every(([key, value]) => sample.labels[key] === value)
        )
        assert.isNotEmpty(found, `${name} ${JSON.stringify(labels)}`)
        return found.reduce((sum, { value }) => sum + value, 0)
      }
      const connection = "websocket_client_connection"
      assert.deepStrictEqual(
        {
          idle: value(`${connection}_count`, { state: "idle" }),
          busy: value(`${connection}_count`, { state: "used" }),
          total: value(`${connection}_count`),
          maxConnections: value(`${connection}_max`),
          minConnections: value(`${connection}_min`),
          waiting: value(`${connection}_pending_requests`),
          opened: value(`${connection}_opened_total`),
          closed: value(`${connection}_closed_total`),
          connectFailures: value(`${connection}_failures_total`),
          acquired: value(`${connection}_wait_time_count`),
          released: value(`${connection}_use_time_count`),
          exhausted: value(`${connection}_exhausted_total`),
          discarded: value(`${connection}_discarded_total`),
          messagesDropped: value("websocket_client_dropped_messages_total")
        },
        {
          idle: stats.idle,
          busy: stats.busy,
          total: stats.total,
          maxConnections: stats.maxConnections,
          minConnections: stats.minConnections,
          waiting: stats.waiting,
          opened: stats.opened,
          closed: stats.closed,
          connectFailures: stats.connectFailures,
          acquired: stats.acquired,
          released: stats.released,
          exhausted: stats.exhausted,
          discarded: stats.discarded,
          messagesDropped: stats.messagesDropped
        }
      )
      assert.deepInclude(stats, { connectFailures: 1, exhausted: 2, discarded: 1 })
      assert.strictEqual(value(`${connection}_failures_total`, { reason: "Setup" }), 1)
      assert.strictEqual(value(`${connection}_exhausted_total`, { reason: "TooManyWaiters" }), 2)
      assert.strictEqual(value(`${connection}_closed_total`, { reason: "Discarded" }), 1)
      assert.strictEqual(value("websocket_client_messages_total", { direction: "sent" }), 1)
      assert.strictEqual(value("websocket_client_bytes_total", { direction: "received" }), 5)
      assert.strictEqual(value(`${connection}_use_time_bucket`, { le: "+Inf" }), stats.released)
    })
  )

  it.live("stops serving with its layer", () =>
    Effect.gen(function* () {
      const { url } = yield* Effect.scoped(Effect.map(Layer.build(PrometheusLive(0)), Context.get(Scrape)))
      const outcome = yield* Effect.exit(Effect.tryPromise(() => fetch(url)))
      assert.strictEqual(outcome._tag, "Failure")
    })
  )
})

describe("the dashboard", () => {
  interface Target {
    readonly expr: string
    readonly legendFormat: string
  }
  interface Panel {
    readonly title: string
    readonly type: string
    readonly targets?: ReadonlyArray<Target>
  }
  const text = readFileSync(new URL("../../docs/grafana-dashboard.json", import.meta.url), "utf8")
  const dashboard: {
    readonly panels: ReadonlyArray<Panel>
    readonly templating: { readonly list: ReadonlyArray<{ readonly name: string; readonly definition?: string }> }
  } = JSON.parse(text)
  const queries = dashboard.panels.flatMap(({ targets = [], title }) => targets.map((target) => ({ ...target, title })))

  /** Words of PromQL, and what Grafana fills in. */
  const language = new Set(["sum", "max", "by", "rate", "histogram_quantile", "label_values", "le"])

  /** The metrics that a query names, and the labels and values that it wants of them. */
  const read = (query: string) => {
    const metrics = new Map<string, Array<readonly [label: string, value: string | undefined]>>()
    for (const [, name, selector] of query.matchAll(/\b([a-z_]+)\{([^}]*)\}/g)) {
      const matchers = Array.from(selector!.matchAll(/(\w+)\s*(=~|=)\s*"([^"]*)"/g), ([, label, , value]) => {
        return [label!, value!.startsWith("$") ? undefined : value] as const
      })
      metrics.set(name!, matchers)
    }
    const labels = Array.from(query.matchAll(/\bby \(([^)]*)\)/g)).flatMap(([, list]) => list!.split(/,\s*/))
    const rest = query
      .replace(/\b([a-z_]+)\{([^}]*)\}/g, "")
      .replace(/\bby \([^)]*\)/g, "")
      .replace(/\[\$__rate_interval\]/g, "")
    const unknown = Array.from(rest.matchAll(/[a-z_]{2,}/gi), ([word]) => word).filter((word) => !language.has(word))
    return { metrics, labels, unknown }
  }

  it("has a panel for states, waiting, failures, closing and traffic, and a choice of pools", () => {
    const titles = dashboard.panels.map(({ title }) => title)
    for (const title of ["Connections by state", "Waiting now", "Opened and failed", "Closed by reason", "Messages"]) {
      assert.include(titles, title)
    }
    assert.deepStrictEqual(
      dashboard.templating.list.map(({ name }) => name),
      ["datasource", "pool"]
    )
    assert.isAbove(queries.length, 20)
    for (const { expr } of queries) assert.include(expr, 'pool_name=~"$pool"')
  })

  it.live("asks only for what is exported: every metric, every label, every value of one", () =>
    Effect.gen(function* () {
      const { samples } = yield* scenario
      const series = new Map<string, Map<string, Set<string>>>()
      for (const { labels, name } of samples) {
        const known = series.get(name) ?? new Map<string, Set<string>>()
        series.set(name, known)
        for (const [label, value] of Object.entries(labels)) {
          known.set(label, (known.get(label) ?? new Set<string>()).add(value))
        }
      }
      for (const { expr, legendFormat, title } of queries) {
        const { labels, metrics, unknown } = read(expr)
        assert.deepStrictEqual(unknown, [], `${title}: ${expr}`)
        assert.isAbove(metrics.size, 0, expr)
        for (const [name, matchers] of metrics) {
          const known = series.get(name)
          assert.isDefined(known, `${title}: ${name} is not exported`)
          for (const [label, value] of matchers) {
            assert.isTrue(known?.has(label), `${title}: ${name} has no label ${label}`)
            if (value !== undefined) assert.isTrue(known?.get(label)?.has(value), `${title}: ${name} has no ${value}`)
          }
          for (const label of labels) assert.isTrue(known?.has(label), `${title}: ${name} has no label ${label}`)
        }
        for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) assert.include(labels, label, legendFormat)
      }
      for (const { definition } of dashboard.templating.list) {
        if (definition === undefined) continue
        const [, name, label] = /^label_values\((\w+), (\w+)\)$/.exec(definition) ?? assert.fail(definition)
        assert.isTrue(series.get(name!)?.has(label!), definition)
      }
      // And it leaves nothing out.
      const asked = new Set(queries.flatMap(({ expr }) => [...read(expr).metrics.keys()]))
      const base = (name: string) => name.replace(/_(bucket|sum|count)$/, "")
      const exported = samples.filter(({ labels }) => labels.pool_name !== undefined).map(({ name }) => base(name))
      assert.deepStrictEqual([...new Set([...asked].map(base))].sort(), [...new Set(exported)].sort())
    })
  )
})
