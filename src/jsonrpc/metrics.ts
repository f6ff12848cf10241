import { type Counter, type Histogram, type Registry, registry } from "#edition/observe/registry"
import * as Cause from "#effect/Cause"
import * as Effect from "#effect/Effect"
import * as Option from "#effect/Option"
import type { Timers } from "../core/timers.js"

/** From what a clock of milliseconds can tell apart to a minute, in seconds. */
const seconds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60]

export type Outcome = "success" | "error" | "failure" | "interrupted"

/** What a client tells Effect's registry of metrics. Each meter is looked up once. */
export class Metrics {
  private readonly durations = new Map<string, Histogram>()
  private readonly inFlight: Counter
  private readonly unmatched: Counter
  private readonly lagged: Counter

  constructor(
    private readonly registry: Registry,
    private readonly tags: Readonly<Record<string, string>>
  ) {
    this.inFlight = registry.counter("rpc.client.in_flight", "Calls under way", tags, false)
    this.unmatched = registry.counter("rpc.client.unmatched", "Answers that nobody waited for", tags, true)
    this.lagged = registry.counter(
      "rpc.client.lagged",
      "Streams failed and items dropped, not read in time",
      tags,
      true
    )
  }

  readonly missed = (what: "unmatched" | "lagged"): void => this[what].update(1)

  /** Times a call, by its method and by how it ends. */
  timed<A, E, R>(timers: Timers, method: string, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    // An interruption between the two would leave it under way for ever.
    return Effect.uninterruptibleMask((restore) => {
      const ended = this.begin(timers, method)
      return Effect.matchCauseEffect(restore(self), {
        onFailure: (cause) => {
          ended(outcomeOf(cause))
          return Effect.failCause(cause)
        },
        onSuccess: (value) => {
          ended("success")
          return Effect.succeed(value)
        }
      })
    })
  }

  /** Something begins that ends once, whoever says so first. */
  begin(timers: Timers, method: string): (outcome: Outcome) => void {
    const since = timers.now()
    let isOver = false
    this.inFlight.update(1)
    return (outcome) => {
      if (isOver) return
      isOver = true
      this.inFlight.update(-1)
      this.durationOf(method, outcome).update((timers.now() - since) / 1000)
    }
  }

  private durationOf(method: string, outcome: Outcome): Histogram {
    const key = `${outcome} ${method}`
    const known = this.durations.get(key)
    if (known !== undefined) return known
    const tags = { ...this.tags, "rpc.method": method, outcome, unit: "s" }
    const made = this.registry.histogram("rpc.client.duration", "How long calls take, in seconds", tags, seconds)
    this.durations.set(key, made)
    return made
  }
}

const outcomeOf = (cause: Cause.Cause<unknown>): Outcome => {
  if (Cause.hasInterruptsOnly(cause)) return "interrupted"
  const error = Option.getOrUndefined(Cause.findErrorOption(cause)) as { readonly _tag?: string } | undefined
  return error?._tag === "JsonRpcError" ? "error" : "failure"
}

export const make = (pool: string): Effect.Effect<Metrics> =>
  Effect.map(registry, (registry) => new Metrics(registry, { "pool.name": pool, "rpc.system": "jsonrpc" }))
