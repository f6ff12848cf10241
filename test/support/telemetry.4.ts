/** What a pool tells through Effect's own means: its metrics, its spans, its log lines. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import type * as Option from "effect/Option"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"

/** Every series of a pool now, by its name and the labels besides the pool's: of a histogram the count and the sum. */
export const metricsOf = (pool: string): Readonly<Record<string, number>> => {
  const series: Record<string, number> = {}
  for (const { attributes = {}, id, state, type } of Metric.snapshotUnsafe(Context.empty())) {
    if (attributes["pool.name"] !== pool) continue
    const labels = Object.entries(attributes)
      .filter(([key]) => key !== "pool.name" && key !== "unit")
      .map(([key, value]) => `${key}=${value}`)
    const name = id + (labels.length === 0 ? "" : `{${labels.join(",")}}`)
    if (type === "Counter") series[name] = Number(state.count)
    if (type === "Gauge") series[name] = Number(state.value)
    if (type === "Histogram") {
      series[`${name}:count`] = state.count
      series[`${name}:sum`] = state.sum
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
  Metric.snapshotUnsafe(Context.empty()).map(({ attributes = {}, id, state, type }) => ({
    name: id,
    kind:
      type === "Histogram"
        ? "histogram"
        : type === "Gauge"
          ? "gauge"
          : type === "Counter" && state.incremental
            ? "counter"
            : "up-down counter",
    labels: attributes
  }))

/** Everything that the registry of metrics shows. */
export const registered = (): ReadonlyArray<unknown> =>
  Metric.snapshotUnsafe(Context.empty()).map(({ attributes, description, id, state }) => ({
    id,
    description,
    attributes,
    state
  }))

/** With a label on every metric. */
export const labelled = (
  label: string,
  value: string
): (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) =>
  Effect.provideService(Metric.CurrentMetricAttributes, { [label]: value })

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
    readonly annotations: Tracer.Span["annotations"],
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
    span: ({ annotations, kind, links, name, parent, startTime }) => {
      const span = new RecordedSpan(`span-${spans.length + 1}`, name, parent, annotations, links, startTime, kind)
      spans.push(span)
      return span
    }
  })
  return { spans, tracer, layer: Layer.succeed(Tracer.Tracer, tracer) }
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
    span: (options) => {
      if (options.name !== name) return tracer.span(options)
      if (place === "span") return fail()
      return Object.assign(tracer.span(options), { [place]: fail })
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

/** A logger by hand, in place of Effect's own, for lines of a level or above it. It gets what it was given, too. */
export const logger = (
  write: (line: Line, given: ReadonlyArray<unknown>) => void,
  least: Level & LogLevel.LogLevel = "Info"
): Layer.Layer<never> =>
  Layer.merge(
    Logger.layer([
      Logger.make(({ cause, fiber, logLevel, message }) =>
        write(
          {
            level: logLevel.toUpperCase(),
            message: Array.isArray(message) ? message.map(String).join(" ") : String(message),
            annotations: fiber.getRef(References.CurrentLogAnnotations),
            cause: cause.reasons.length === 0 ? "" : Cause.pretty(cause)
          },
          [message, cause, fiber.getRef(References.CurrentLogAnnotations), fiber.getRef(References.CurrentLogSpans)]
        )
      )
    ]),
    Layer.succeed(References.MinimumLogLevel, least)
  )

/** A logger that keeps all lines of a level or above it, and a layer that installs it. */
export const recordLines = (least: Level = "Info") => {
  const lines: Array<Line> = []
  return { lines, layer: logger((line) => lines.push(line), least) }
}
