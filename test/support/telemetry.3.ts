/** What a pool tells through Effect's own means: its metrics, its spans, its log lines. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as List from "effect/List"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import * as MetricKeyType from "effect/MetricKeyType"
import * as MetricState from "effect/MetricState"
import type * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** Every series of a pool now, by its name and the labels besides the pool's: of a histogram the count and the sum. */
export const metricsOf = (pool: string): Readonly<Record<string, number>> => {
  const series: Record<string, number> = {}
  for (const { metricKey, metricState } of Metric.unsafeSnapshot()) {
    if (!metricKey.tags.some(({ key, value }) => key === "pool.name" && value === pool)) continue
    const labels = metricKey.tags
      .filter(({ key }) => key !== "pool.name" && key !== "unit")
      .map(({ key, value }) => `${key}=${value}`)
    const name = metricKey.name + (labels.length === 0 ? "" : `{${labels.join(",")}}`)
    if (MetricState.isCounterState(metricState)) series[name] = Number(metricState.count)
    if (MetricState.isGaugeState(metricState)) series[name] = Number(metricState.value)
    if (MetricState.isHistogramState(metricState)) {
      series[`${name}:count`] = metricState.count
      series[`${name}:sum`] = metricState.sum
    }
  }
  return series
}

/** A series of a metric as it is exported. */
export interface Exported {
  readonly name: string
  readonly kind: "histogram" | "counter" | "up-down counter" | "gauge"
  readonly labels: Readonly<Record<string, string>>
}

/** Every series that there is. */
export const exported = (): ReadonlyArray<Exported> =>
  Array.from(Metric.unsafeSnapshot(), ({ metricKey: { keyType, name, tags } }) => ({
    name,
    kind: MetricKeyType.isHistogramKey(keyType)
      ? "histogram"
      : MetricKeyType.isGaugeKey(keyType)
        ? "gauge"
        : MetricKeyType.isCounterKey(keyType) && keyType.incremental
          ? "counter"
          : "up-down counter",
    labels: Object.fromEntries(tags.map(({ key, value }) => [key, value]))
  }))

/** Everything that the registry of metrics shows. */
export const registered = (): ReadonlyArray<unknown> =>
  Array.from(Metric.unsafeSnapshot(), ({ metricKey: { description, name, tags }, metricState }) => ({
    name,
    description,
    tags: tags.map(({ key, value }) => [key, value]),
    metricState
  }))

/** With a label on every metric. */
export const labelled: (
  label: string,
  value: string
) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = Effect.tagMetrics

/** A span that a tracer has made. */
export class RecordedSpan implements Tracer.Span {
  readonly _tag = "Span"
  readonly sampled = true
  readonly traceId: string
  readonly attributes = new Map<string, unknown>()
  readonly events: Array<unknown> = []
  readonly links: Array<Tracer.SpanLink>
  status: Tracer.SpanStatus

  constructor(
    readonly spanId: string,
    readonly name: string,
    readonly parent: Option.Option<Tracer.AnySpan>,
    readonly context: Tracer.Span["context"],
    links: ReadonlyArray<Tracer.SpanLink>,
    startTime: bigint,
    readonly kind: Tracer.SpanKind
  ) {
    this.traceId = parent._tag === "Some" ? parent.value.traceId : `trace-${spanId}`
    this.links = [...links]
    this.status = { _tag: "Started", startTime }
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    this.status = { _tag: "Ended", startTime: this.status.startTime, endTime, exit }
  }

  attribute(key: string, value: unknown): void {
    this.attributes.set(key, value)
  }

  event(name: string, startTime: bigint, attributes: Record<string, unknown> = {}): void {
    this.events.push([name, startTime, attributes])
  }

  addLinks(links: ReadonlyArray<Tracer.SpanLink>): void {
    this.links.push(...links)
  }

  /** How long it took in milliseconds; NaN while it has not ended. */
  get millis(): number {
    return this.status._tag === "Ended" ? Number(this.status.endTime - this.status.startTime) / 1e6 : Number.NaN
  }
}

/** A tracer that keeps all its spans, and a layer that installs it. */
export const recordSpans = () => {
  const spans: Array<RecordedSpan> = []
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const span = new RecordedSpan(`span-${spans.length + 1}`, name, parent, context, links, startTime, kind)
      spans.push(span)
      return span
    },
    context: (f) => f()
  })
  return { spans, tracer, layer: Layer.setTracer(tracer) }
}

/** Where a tracer can throw. */
export const places = ["span", "attribute", "end", "addLinks"] as const

/** A tracer that throws for spans of that name, at that place. */
export const throwingTracer = (name: string, place: (typeof places)[number]): Tracer.Tracer => {
  const fail = (): never => {
    throw new Error("the tracer is broken")
  }
  const { tracer } = recordSpans()
  return Tracer.make({
    context: (f) => f(),
    span: (...args) => {
      if (args[0] !== name) return tracer.span(...args)
      if (place === "span") return fail()
      return Object.assign(tracer.span(...args), { [place]: fail })
    }
  })
}

export interface Line {
  readonly level: string
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
  readonly cause: string
}

type Level = "All" | "Debug" | "Info" | "Warn"

const levels: { readonly [L in Level]: LogLevel.LogLevel } = {
  All: LogLevel.All,
  Debug: LogLevel.Debug,
  Info: LogLevel.Info,
  Warn: LogLevel.Warning
}

/** A logger by hand, in place of Effect's own, for lines of a level or above it. It gets what it was given, too. */
export const logger = (
  write: (line: Line, given: ReadonlyArray<unknown>) => void,
  least: Level = "Info"
): Layer.Layer<never> =>
  Layer.merge(
    Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ annotations, cause, logLevel, message, spans }) =>
        write(
          {
            level: logLevel.label,
            message: Array.isArray(message) ? message.map(String).join(" ") : String(message),
            annotations: Object.fromEntries(HashMap.toEntries(annotations)),
            cause: Cause.isEmpty(cause) ? "" : Cause.pretty(cause)
          },
          [message, cause, HashMap.toEntries(annotations), List.toArray(spans)]
        )
      )
    ),
    Logger.minimumLogLevel(levels[least])
  )

/** A logger that keeps all lines of a level or above it, and a layer that installs it. */
export const recordLines = (least: Level = "Info") => {
  const lines: Array<Line> = []
  return { lines, layer: logger((line) => lines.push(line), least) }
}
