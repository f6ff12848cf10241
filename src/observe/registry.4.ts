import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { Readers, type Register } from "./readers.js"

type Tags = Readonly<Record<string, string>>

/** What counts, or measures. */
interface Meter {
  readonly update: (value: number) => void
}

export type Counter = Meter
export type Histogram = Meter

/** Where metrics are registered, each as soon as it is asked for. */
export interface Registry {
  readonly counter: (name: string, description: string, tags: Tags, incremental: boolean) => Counter
  readonly histogram: (name: string, description: string, tags: Tags, boundaries: ReadonlyArray<number>) => Histogram
  readonly gauge: Register<Tags>
}

/** The gauges that are read, by the registry that they are in, and by what tells them apart there. */
const gauges = new WeakMap<Metric.MetricRegistry, Map<string, Readers>>()

const readersOf = (context: Context.Context<never>, name: string, attributes: Tags): Readers => {
  const registry = Context.get(context, Metric.MetricRegistry)
  const all = gauges.get(registry) ?? new Map<string, Readers>()
  gauges.set(registry, all)
  const key = JSON.stringify([name, attributes, Context.get(context, Metric.CurrentMetricAttributes)])
  const readers = all.get(key) ?? new Readers()
  all.set(key, readers)
  return readers
}

type Metadata = NonNullable<ReturnType<Metric.MetricRegistry["get"]>>

/** Stands for a registry, and keeps what a metric has looked up there. */
class Lookup extends Map<string, Metadata> {
  found: Metadata | undefined = undefined

  constructor(private readonly registry: Metric.MetricRegistry) {
    super()
  }

  override get(key: string) {
    this.found = this.registry.get(key)
    return this.found
  }

  override set(key: string, metadata: Metadata): this {
    this.registry.set(key, metadata)
    this.found = metadata
    return this
  }
}

/** Effect's, with the attributes of the current fiber besides those of a metric itself. */
export const registry: Effect.Effect<Registry> = Effect.map(Effect.context(), (context) => {
  /** Effect looks a metric up at each update. That would be a quarter of a lease. */
  const registered = <State>(metric: Metric.Metric<number, State>): Meter => {
    const lookup = new Lookup(Context.get(context, Metric.MetricRegistry))
    metric.valueUnsafe(Context.add(context, Metric.MetricRegistry, lookup))
    const hooks = lookup.found?.hooks
    if (hooks === undefined) return { update: (value) => metric.updateUnsafe(value, context) }
    return { update: (value) => hooks.update(value, context) }
  }
  return {
    counter: (name, description, attributes, incremental) =>
      registered(Metric.counter(name, { description, attributes, incremental })),
    histogram: (name, description, attributes, boundaries) =>
      registered(Metric.histogram(name, { description, attributes, boundaries })),
    gauge: (name, description, attributes, read) => {
      const readers = readersOf(context, name, attributes)
      Metric.registerUnsafe(Metric.gauge(name, { description, attributes }), context, {
        get: () => ({ value: readers.most }),
        update: () => {},
        modify: () => {}
      })
      return readers.add(read)
    }
  }
})
