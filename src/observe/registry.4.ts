import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

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
}

/** Effect's, with the attributes of the current fiber besides those of a metric itself. */
export const registry: Effect.Effect<Registry> = Effect.map(Effect.context(), (context) => {
  const registered = <State>(metric: Metric.Metric<number, State>): Meter => {
    metric.valueUnsafe(context)
    return { update: (value) => metric.updateUnsafe(value, context) }
  }
  return {
    counter: (name, description, attributes, incremental) =>
      registered(Metric.counter(name, { description, attributes, incremental })),
    histogram: (name, description, attributes, boundaries) =>
      registered(Metric.histogram(name, { description, attributes, boundaries }))
  }
})
