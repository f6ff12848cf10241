/** Ways to watch a pool at work. */
import { NodeSdk } from "@effect/opentelemetry"
import { PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics"
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { Effect, Layer, Schedule, type Scope, Stream } from "effect"
import type { WebSocketPool } from "../src/index.js"
import * as WebSocketPoolMonitor from "../src/WebSocketPoolMonitor.js"

type Pool = WebSocketPool.WebSocketPool

export interface Watcher {
  readonly label: string
  readonly options?: Partial<WebSocketPool.Options>
  /** Goes on until the scope closes. */
  readonly watch?: (pool: Pool) => Effect.Effect<unknown, unknown, Scope.Scope>
  /** What pool and users run in. */
  readonly surroundings?: Layer.Layer<never>
}

const subscriber = (pool: Pool) => Effect.forkScoped(Stream.runDrain(pool.events))

const statistics = (pool: Pool) => Effect.forkScoped(Effect.repeat(pool.stats, Schedule.spaced("1 second")))

/** OpenTelemetry at work: metrics are collected every second, spans in batches; then they are thrown away. */
const telemetryLayer: Layer.Layer<never> = Layer.discard(
  NodeSdk.layer(() => ({
    resource: { serviceName: "bench" },
    spanProcessor: new BatchSpanProcessor({
      export: (_spans, done) => done({ code: 0 }),
      shutdown: async () => {}
    }),
    metricReader: new PeriodicExportingMetricReader({
      exporter: {
        export: (_metrics, done) => done({ code: 0 }),
        forceFlush: async () => {},
        shutdown: async () => {}
      },
      exportIntervalMillis: 1000,
      exportTimeoutMillis: 1000
    })
  }))
)

const leaks = { leakThreshold: "1 minute" } as const

export const watchers = {
  nobody: { label: "nobody watches" },
  events: { label: "a subscriber to `events`", watch: subscriber },
  "events-and-stats": {
    label: "a subscriber to `events`, `stats` every second",
    watch: (pool) => Effect.zipRight(subscriber(pool), statistics(pool))
  },
  recording: { label: "a recording of the monitor", watch: WebSocketPoolMonitor.record },
  leaks: { label: "`leakThreshold`", options: leaks },
  telemetry: { label: "metrics every second, a tracer", surroundings: telemetryLayer },
  "telemetry-and-leaks": { label: "both", options: leaks, surroundings: telemetryLayer }
} satisfies Record<string, Watcher>

export type WatcherName = keyof typeof watchers
