import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import type * as MetricHook from "effect/MetricHook"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"

type Tags = Readonly<Record<string, string>>

export type Counter = MetricHook.MetricHook.Counter<number>
export type Histogram = MetricHook.MetricHook.Histogram

/** Where metrics are registered: what it gives is what the registry itself counts with. */
export interface Registry {
  readonly counter: (name: string, description: string, tags: Tags, incremental: boolean) => Counter
  readonly histogram: (name: string, description: string, tags: Tags, boundaries: ReadonlyArray<number>) => Histogram
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
        MetricKey.taggedWithLabels(
          MetricKey.histogram(name, MetricBoundaries.fromIterable(boundaries), description),
          labelled(tags)
        )
      )
  }
})
