import type { Counter, Histogram, Registry } from "#edition/observe/registry"
import type { LostWait } from "../core/driver.js"
import type { SlotState } from "../core/slot.js"
import type { PoolExhaustedError } from "../values/errors.js"
import type { CloseReason } from "../values/events.js"
import type { ConnectFailureReason } from "../values/reasons.js"

type PerReason<Reason extends string, Meter = Counter> = { readonly [R in Reason]: Meter }

const connection = "websocket.client.connection"

export const closeReasons: { readonly [R in CloseReason]: R } = {
  Idle: "Idle",
  Expired: "Expired",
  Unhealthy: "Unhealthy",
  Dirty: "Dirty",
  DrainTimeout: "DrainTimeout",
  Discarded: "Discarded",
  Remote: "Remote",
  Refreshed: "Refreshed",
  Evicted: "Evicted",
  Reclaimed: "Reclaimed",
  Shutdown: "Shutdown",
  Protocol: "Protocol",
  Closed: "Closed"
}

export const failureReasons: { readonly [R in ConnectFailureReason]: R } = {
  Timeout: "Timeout",
  Network: "Network",
  Tls: "Tls",
  Handshake: "Handshake",
  Setup: "Setup",
  Quota: "Quota"
}

export const exhaustedReasons: { readonly [R in PoolExhaustedError["reason"]]: R } = {
  AcquireTimeout: "AcquireTimeout",
  TooManyWaiters: "TooManyWaiters",
  Quota: "Quota"
}

const lostWaits: { readonly [W in LostWait]: W } = { Failed: "Failed", Interrupted: "Interrupted" }

/** Nothing of each. */
export const countsBy = <R extends string>(reasons: { readonly [K in R]: K }): { [K in R]: number } =>
  Object.fromEntries(Object.keys(reasons).map((reason) => [reason, 0])) as { [K in R]: number }

/** What is read when somebody reads the metrics, in milliseconds; 0 stands for nothing. */
export interface PoolGauges {
  readonly oldestLease: () => number
  /** How long no message has come on that one. */
  readonly quiet: () => number
  readonly longestWait: () => number
  readonly outage: () => number
}

/** From what a clock of milliseconds can tell apart to a minute, in seconds. */
const seconds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60]

/**
 * What a pool tells Effect's registry of metrics.
 *
 * An update costs about as much as the addition that it is: the hooks are looked up once for each pool, and the
 * registry is only asked when somebody reads it. Whatever goes up and down is counted in differences, so that pools
 * of one name add up, and a pool that has closed leaves nothing behind.
 */
export class Metrics {
  private readonly connecting: Counter
  private readonly idle: Counter
  private readonly used: Counter
  private readonly draining: Counter
  private readonly closing: Counter
  private readonly min: Counter
  private readonly max: Counter
  private readonly pending: Counter
  private readonly queued: Counter
  private readonly waitTime: Histogram
  private readonly useTime: Histogram
  private readonly lostWaitTime: PerReason<LostWait, Histogram>
  private readonly createTime: Histogram
  private readonly drainTime: Histogram
  private readonly openedTotal: Counter
  private readonly closedTotal: PerReason<CloseReason>
  private readonly failed: PerReason<ConnectFailureReason>
  private readonly exhaustedTotal: PerReason<PoolExhaustedError["reason"]>
  private readonly timeouts: Counter
  private readonly discardedTotal: Counter
  private readonly droppedTotal: Counter
  private readonly messagesSent: Counter
  private readonly messagesReceived: Counter
  private readonly bytesSent: Counter
  private readonly bytesReceived: Counter

  private minConnections = 0
  private maxConnections = 0
  private isOver = false
  private readonly register: (name: string, description: string, read: () => number) => () => void
  /** What ends the reading. */
  private readonly unread: Array<() => void> = []

  constructor(pool: string, registry: Registry) {
    const own = { "pool.name": pool }
    const counter = (name: string, description: string, more = {}, incremental = true): Counter =>
      registry.counter(name, description, { ...own, ...more }, incremental)
    const upDown = (name: string, description: string, more = {}): Counter => counter(name, description, more, false)
    const byReason = <R extends string>(name: string, description: string, reasons: { readonly [K in R]: K }) =>
      Object.fromEntries(
        Object.keys(reasons).map((reason) => [reason, counter(name, description, { reason })])
      ) as PerReason<R>
    // The tag is where exporters look for the unit.
    const histogram = (name: string, description: string, more = {}): Histogram =>
      registry.histogram(name, description, { ...own, ...more, unit: "s" }, seconds)
    this.register = (name, description, read) =>
      registry.gauge(`${connection}.${name}`, description, { ...own, unit: "s" }, () => read() / 1000)

    const inState = (state: string): Counter => upDown(`${connection}.count`, "Connections now, by state", { state })
    this.connecting = inState("connecting")
    this.idle = inState("idle")
    this.used = inState("used")
    this.draining = inState("draining")
    this.closing = inState("closing")
    this.min = upDown(`${connection}.min`, "Connections that are kept open: minConnections")
    this.max = upDown(`${connection}.max`, "Connections that may exist at once: maxConnections")
    this.pending = upDown(`${connection}.pending_requests`, "Gets that wait for a connection now")
    this.queued = upDown(`${connection}.queued`, "Connections that wait for a permit of the quota now")
    this.waitTime = histogram(`${connection}.wait_time`, "How long gets took that got a connection")
    this.lostWaitTime = Object.fromEntries(
      Object.keys(lostWaits).map((outcome) => [
        outcome,
        histogram(`${connection}.lost_wait_time`, "How long gets waited that got no connection", { outcome })
      ])
    ) as PerReason<LostWait, Histogram>
    this.useTime = histogram(`${connection}.use_time`, "How long connections were leased")
    this.createTime = histogram(`${connection}.create_time`, "How long opening a connection took, retries included")
    this.drainTime = histogram(`${connection}.drain_time`, "How long connections took to fall quiet after a lease")
    this.openedTotal = counter(`${connection}.opened`, "Connections opened")
    this.closedTotal = byReason(`${connection}.closed`, "Connections closed, by reason", closeReasons)
    this.failed = byReason(`${connection}.failures`, "Attempts to connect that failed, by reason", failureReasons)
    this.exhaustedTotal = byReason(
      `${connection}.exhausted`,
      "Gets failed with PoolExhaustedError, by reason",
      exhaustedReasons
    )
    this.timeouts = counter(`${connection}.timeouts`, "Gets failed because acquireTimeout had passed")
    this.discardedTotal = counter(`${connection}.discarded`, "Connections closed because a lease made them unfit")
    this.droppedTotal = counter("websocket.client.dropped_messages", "Messages received and given to nobody")
    const traffic = (what: "messages" | "bytes", direction: "sent" | "received"): Counter =>
      counter(`websocket.client.${what}`, `${what === "bytes" ? "Bytes of messages" : "Messages"} each way`, {
        direction,
        ...(what === "bytes" ? { unit: "By" } : {})
      })
    this.messagesSent = traffic("messages", "sent")
    this.messagesReceived = traffic("messages", "received")
    this.bytesSent = traffic("bytes", "sent")
    this.bytesReceived = traffic("bytes", "received")
  }

  // What is read

  gauge({ longestWait, oldestLease, outage, quiet }: PoolGauges): void {
    this.unread.push(
      this.register("oldest_lease_time", "How long the lease is held that is held for longest", oldestLease),
      this.register("oldest_lease_quiet_time", "For how long no message came on that one", quiet),
      this.register("longest_wait_time", "How long the get waits now that has waited longest", longestWait),
      this.register("outage_time", "For how long no connection could be opened", outage)
    )
  }

  // What goes up and down

  moved(from: SlotState | undefined, to: SlotState): void {
    if (this.isOver) return
    if (from !== undefined) this.count(from, -1)
    this.count(to, 1)
  }

  private count(state: SlotState, change: number): void {
    switch (state) {
      case "idle":
        this.idle.update(change)
        break
      case "leased":
      case "checking":
        this.used.update(change)
        break
      case "creating":
        this.connecting.update(change)
        break
      case "releasing":
        this.draining.update(change)
        break
      case "closing":
        this.closing.update(change)
        break
      case "gone":
    }
  }

  waits(change: 1 | -1): void {
    if (!this.isOver) this.pending.update(change)
  }

  queues(change: 1 | -1): void {
    this.queued.update(change)
  }

  limits(minConnections: number, maxConnections: number): void {
    if (this.isOver) return
    this.min.update(minConnections - this.minConnections)
    this.max.update(maxConnections - this.maxConnections)
    this.minConnections = minConnections
    this.maxConnections = maxConnections
  }

  /** The pool is gone, and with it all that it has, even what it could not wait for. */
  over(left: { readonly [S in SlotState]: number }, waiting: number): void {
    this.limits(0, 0)
    this.connecting.update(-left.creating)
    this.idle.update(-left.idle)
    this.used.update(-left.leased - left.checking)
    this.draining.update(-left.releasing)
    this.closing.update(-left.closing)
    this.pending.update(-waiting)
    for (const end of this.unread.splice(0)) end()
    this.isOver = true
  }

  // What only goes up

  acquired(waited: number): void {
    this.waitTime.update(waited / 1000)
  }

  waitLost(waited: number, how: LostWait): void {
    this.lostWaitTime[how].update(waited / 1000)
  }

  released(held: number): void {
    this.useTime.update(held / 1000)
  }

  opened(elapsed: number): void {
    this.openedTotal.update(1)
    this.createTime.update(elapsed / 1000)
  }

  closed(reason: CloseReason): void {
    this.closedTotal[reason].update(1)
  }

  connectFailed(reason: ConnectFailureReason): void {
    this.failed[reason].update(1)
  }

  exhausted(reason: PoolExhaustedError["reason"]): void {
    this.exhaustedTotal[reason].update(1)
  }

  timedOut(): void {
    this.timeouts.update(1)
  }

  discarded(): void {
    this.discardedTotal.update(1)
  }

  drained(elapsed: number): void {
    this.drainTime.update(elapsed / 1000)
  }

  dropped(): void {
    this.droppedTotal.update(1)
  }

  sent(bytes: number): void {
    this.messagesSent.update(1)
    this.bytesSent.update(bytes)
  }

  received(bytes: number): void {
    this.messagesReceived.update(1)
    this.bytesReceived.update(bytes)
  }
}
