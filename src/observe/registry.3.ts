import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import type * as MetricHook from "effect/MetricHook"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"
import * as MetricState from "effect/MetricState"
import { Readers, type Register } from "./readers.js"

type Tags = Readonly<Record<string, string>>

export type Counter = MetricHook.MetricHook.Counter<number>
export type Histogram = MetricHook.MetricHook.Histogram

/** Where metrics are registered: what it gives is what the registry itself counts with. */
export interface Registry {
  readonly counter: (name: string, description: string, tags: Tags, incremental: boolean) => Counter
  readonly histogram: (name: string, description: string, tags: Tags, boundaries: ReadonlyArray<number>) => Histogram
  readonly gauge: Register<Tags>
}

/** The gauges that are read, by what the registry itself counts with. */
const gauges = new WeakMap<MetricHook.MetricHook.Gauge<number>, Readers>()

/** A gauge of Effect 3 keeps what it is told. The registry knows it by its hook: this one asks instead. */
const readersOf = (hook: MetricHook.MetricHook.Gauge<number>): Readers => {
  const known = gauges.get(hook)
  if (known !== undefined) return known
  const readers = new Readers()
  gauges.set(hook, readers)
  Object.assign(hook, { get: () => MetricState.gauge(readers.most) })
  return readers
}

/** Effect takes two histograms for the same only if their boundaries are one object. */
const allBoundaries = new WeakMap<ReadonlyArray<number>, MetricBoundaries.MetricBoundaries>()

const boundariesOf = (values: ReadonlyArray<number>): MetricBoundaries.MetricBoundaries => {
  const boundaries = allBoundaries.get(values) ?? MetricBoundaries.fromIterable(values)
  allBoundaries.set(values, boundaries)
  return boundaries
}

/** Effect's, with the labels of the current fiber behind those of a metric itself. */
export const registry: Effect.Effect<Registry> = Effect.map(FiberRef.get(FiberRef.currentMetricLabels), (labels) => {
  const labelled = (tags: Tags) => {
    const [name, ...rest] = Object.entries(tags).map(([key, value]) => MetricLabel.make(key, value))
    return name === undefined ? labels : [name, ...labels, ...rest]
  }
  return {
    counter: (name, description, tags, incremental) =>
      Metric.globalMetricRegistry.get(
        MetricKey.taggedWithLabels(MetricKey.counter(name, { description, incremental }), labelled(tags))
      ),
    histogram: (name, description, tags, boundaries) =>
      Metric.globalMetricRegistry.get(
        MetricKey.taggedWithLabels(MetricKey.histogram(name, boundariesOf(boundaries), description), labelled(tags))
      ),
    gauge: (name, description, tags, read) =>
      readersOf(
        Metric.globalMetricRegistry.get(
          MetricKey.taggedWithLabels(MetricKey.gauge(name, { description }), labelled(tags))
        )
      ).add(read)
  }
})
