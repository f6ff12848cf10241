import { currentFiber, type Fork } from "#dialect"
import { failWithin, spanOf, type Within, within } from "#edition/observe/spans"
import * as Cause from "#effect/Cause"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import type * as Fiber from "#effect/Fiber"
import type * as Scope from "#effect/Scope"
import type { WebSocketConnection } from "../connection/handle.js"
import { nameOf } from "../connection/leaseSpan.js"
import { makeTimer, type Timer, type Timers } from "../core/timers.js"
import type { AcquireError } from "../values/errors.js"
import { framesOf, type Site, siteBelow, takeAnnounced, text, watch } from "./leakSites.js"
import type { Log } from "./log.js"

type Get = Effect.Effect<WebSocketConnection, AcquireError, Scope.Scope>

/** A lease that is out. */
interface Held {
  readonly since: number
  /** The spans of the fiber that took it. */
  readonly spans: Within
  /** Where it was asked for, if that could be seen. */
  site: Site | undefined
}

/** What is told of a lease that is held for too long. */
export interface Suspicion {
  readonly connectionId: string
  readonly held: Duration.Duration
  readonly span: string | undefined
  readonly traceId: string | undefined
  readonly place: string | undefined
}

/**
 * Looks for leases that are held longer than a threshold, and tells of each once.
 *
 * All leases have the same threshold, so the first one begun is the first one due, and a map, which remembers the
 * order, is all that it takes: one timer looks at its first entry, and only after a threshold has passed again.
 */
export class Leaks {
  private readonly held = new Map<string, Held>()
  private readonly timer: Timer

  constructor(
    private readonly threshold: number,
    private readonly timers: Timers,
    private readonly log: Log,
    private readonly fork: Fork,
    private readonly emit: (suspicion: Suspicion) => void
  ) {
    this.timer = makeTimer(() => this.look())
    watch()
  }

  // When an effect runs, nothing on the stack tells who made it. So the stack is taken when it is made.

  use<A, E, R>(
    f: (connection: WebSocketConnection) => Effect.Effect<A, E, R>
  ): (connection: WebSocketConnection) => Effect.Effect<A, E, R> {
    const site = takeAnnounced() ?? siteBelow(2) // This, and the pool's `use`.
    return (connection) => {
      this.locate(connection.id, site)
      return f(connection)
    }
  }

  /** Of `get` and `getNew` it is taken when they are read. */
  watch(pool: { readonly get: Get; readonly getNew: Get }): void {
    for (const name of ["get", "getNew"] as const) {
      const lease = pool[name]
      const get = (): Get => {
        const site = takeAnnounced() ?? siteBelow(1)
        return Effect.tap(lease, ({ id }) => Effect.sync(() => this.locate(id, site)))
      }
      Object.defineProperty(pool, name, { enumerable: true, get })
    }
  }

  /** Where an `ask` is made. */
  ask(): Site {
    return takeAnnounced() ?? siteBelow(2) // This, and the pool's `ask`.
  }

  locate(id: string, site: Site): void {
    const held = this.held.get(id)
    if (held !== undefined) held.site = site
  }

  /** A lease begins: that of the fiber that runs, unless it is another one's. */
  taken(id: string, fiber: Fiber.Fiber<unknown, unknown> | undefined = currentFiber()): void {
    const since = this.timers.now()
    this.held.set(id, { since, spans: within(fiber), site: undefined })
    if (this.timer.position === -1) this.timers.set(this.timer, since + this.threshold)
  }

  ended(id: string): void {
    this.held.delete(id)
  }

  private look(): void {
    const now = this.timers.now()
    for (const [id, held] of this.held) {
      const due = held.since + this.threshold
      if (due > now) {
        this.timers.set(this.timer, due)
        return
      }
      this.held.delete(id)
      this.tell(id, held, now)
    }
  }

  private tell(connectionId: string, { since, site, spans }: Held, now: number): void {
    const held = Duration.millis(now - since)
    const message =
      `Connection ${connectionId} has been leased for ${Duration.format(held)}, longer than leakThreshold: ` +
      "it has not been given back yet"
    // An error that fails inside of a span is printed with the places where that span and those above it were made.
    const error = new Error(text)
    error.stack = site === undefined ? `Error: ${text}` : framesOf(site)
    this.fork(
      Effect.catchCause(failWithin(error, spans), (cause) =>
        Effect.sync(() => {
          const span = spanOf(spans)
          const name = nameOf(span)
          const traceId = span?.traceId
          this.log.warn(
            message,
            {
              connectionId,
              ...(name === undefined ? {} : { span: name }),
              ...(traceId === undefined ? {} : { traceId })
            },
            cause
          )
          const place = Cause.pretty(cause).split("\n").slice(1).join("\n")
          this.emit({ connectionId, held, span: name, traceId, place: place === "" ? undefined : place })
        })
      )
    )
  }
}
