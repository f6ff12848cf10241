import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import type { WebSocketConnection } from "../WebSocketConnection.js"
import type { WebSocketPool } from "../WebSocketPool.js"
import type { Log } from "./log.js"
import { makeTimer, type Timer, type Timers } from "./timers.js"
import type { Fork } from "./within.js"

/** Frames that are taken of the stack, those of this library included. */
const frames = 6

/** The place where a lease was asked for: a stack, and how many frames of it are this library's. */
interface Site {
  readonly error: Error
  readonly own: number
}

/** A lease that is out. */
interface Held {
  readonly since: number
  /** The span of the fiber that took it. */
  readonly span: Tracer.AnySpan | undefined
  /** Where it was asked for, if that could be seen. */
  site: Site | undefined
}

/** What is told of a lease that is held for too long. */
export interface Suspicion {
  readonly connectionId: string
  readonly held: Duration.Duration
  readonly span: string | undefined
  readonly traceId: string | undefined
  readonly stack: string | undefined
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
  }

  // When an effect runs, nothing on the stack tells who made it. So the stack is taken when it is made.

  use<A, E, R>(
    f: (connection: WebSocketConnection) => Effect.Effect<A, E, R>
  ): (connection: WebSocketConnection) => Effect.Effect<A, E, R> {
    const site = { error: here(), own: 3 } // `here`, this, and the pool's `use`
    return (connection) => {
      this.locate(connection.id, site)
      return f(connection)
    }
  }

  /** Of `get` and `getNew` it is taken when they are read. */
  watch(pool: Pick<WebSocketPool, "get" | "getNew">): void {
    for (const name of ["get", "getNew"] as const) {
      const lease = pool[name]
      const get = (): WebSocketPool["get"] => {
        const site = { error: here(), own: 2 } // `here`, and this
        return Effect.tap(lease, ({ id }) => Effect.sync(() => this.locate(id, site)))
      }
      Object.defineProperty(pool, name, { enumerable: true, get })
    }
  }

  private locate(id: string, site: Site): void {
    const held = this.held.get(id)
    if (held !== undefined) held.site = site
  }

  taken(id: string): void {
    const since = this.timers.now()
    const fiber = Fiber.getCurrentFiber()
    this.held.set(id, { since, span: Option.getOrUndefined(fiber)?.currentSpan, site: undefined })
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

  private tell(connectionId: string, { since, site, span }: Held, now: number): void {
    const held = Duration.millis(now - since)
    const message =
      `Connection ${connectionId} has been leased for ${Duration.format(held)}, longer than leakThreshold: ` +
      "was it given back?"
    // An error that fails inside of a span is printed with the places where that span and those above it were made.
    const error = new Error(text)
    error.stack = site === undefined ? `Error: ${text}` : framesOf(site)
    const failed =
      span === undefined ? Effect.failCause(Cause.fail(error)) : Effect.withParentSpan(Effect.fail(error), span)
    this.fork(
      Effect.catchAllCause(failed, (cause) =>
        Effect.sync(() => {
          const name = span?._tag === "Span" ? span.name : undefined
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
          const stack = Cause.pretty(cause).split("\n").slice(1).join("\n")
          this.emit({ connectionId, held, span: name, traceId, stack: stack === "" ? undefined : stack })
        })
      )
    )
  }
}

const text = "The lease was taken"

/** Where the language's own objects are frozen the stack is as deep as it is. */
const isLimitWritable = Reflect.set(Error, "stackTraceLimit", Error.stackTraceLimit)

/** The stack, which is only made a text when somebody reads it. To take it costs about as much as a lease. */
const here = (): Error => {
  if (!isLimitWritable) return new Error(text)
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = frames
  const error = new Error(text)
  Error.stackTraceLimit = limit
  return error
}

/** Where the fiber that runs a program begins, and where this library calls itself: nothing below tells who did. */
const machinery =
  /\.next \(<anonymous>\)|effect_internal_function|node_modules[\\/](.*[\\/])?effect[\\/]|internal[\\/]accessors\.[jt]s/

const framesOf = ({ error, own }: Site): string => {
  const lines = (error.stack ?? "").split("\n").slice(1 + own)
  const end = lines.findIndex((line) => machinery.test(line))
  return [`Error: ${text}`, ...(end === -1 ? lines : lines.slice(0, end))].join("\n")
}
