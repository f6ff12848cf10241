/** What the demo counts: answers, failures, latencies, and what the pool's events tell. */
import type { PoolEvent } from "effect-websocket-pool"

export class Tally {
  readonly latencies: Array<number> = []
  readonly failures = new Map<string, number>()
  readonly closed = new Map<PoolEvent.CloseReason, number>()
  /** Answers that belonged to somebody else's request. */
  strangers = 0
  /** Requests that are sent at once in the end, and what became of them. */
  readonly atOnce = 400
  burst: { readonly answered: number; readonly connections: number } | undefined = undefined
  reconnects = 0
  connectFailures = 0
  private lost = 0

  get done(): number {
    return this.latencies.length
  }

  get failed(): number {
    return Array.from(this.failures.values()).reduce((sum, n) => sum + n, 0)
  }

  onAnswer(millis: number): void {
    this.latencies.push(millis)
  }

  onFailure(tag: string): void {
    this.failures.set(tag, (this.failures.get(tag) ?? 0) + 1)
  }

  onEvent(event: PoolEvent.PoolEvent): void {
    switch (event._tag) {
      case "ConnectionClosed":
        this.closed.set(event.reason, (this.closed.get(event.reason) ?? 0) + 1)
        if (event.reason === "Remote" || event.reason === "Unhealthy") this.lost += 1
        return
      case "ConnectionOpened":
        if (this.lost === 0) return
        this.lost -= 1
        this.reconnects += 1
        return
      case "ConnectFailed":
        this.connectFailures += 1
    }
  }

  /** Latencies in milliseconds: p50, p90, p99 and the largest. */
  percentiles(): Readonly<Record<"p50" | "p90" | "p99" | "max", number>> | undefined {
    const sorted = Float64Array.from(this.latencies).sort()
    const last = sorted.length - 1
    if (last < 0) return undefined
    const at = (part: number) => sorted[Math.ceil(part * (last + 1)) - 1] ?? 0
    return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) }
  }
}
