import { nanosOf } from "#dialect"
import { isTraced, link, makeSpan, soleErrorOf, startSpan, surroundings } from "#edition/observe/spans"
import type * as Clock from "#effect/Clock"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Tracer from "#effect/Tracer"
import type { Settings } from "../options/decode.js"
import * as url from "../options/url.js"
import type { ConnectionUnavailableError } from "../values/errors.js"
import type { CloseReason } from "../values/events.js"
import type { PoolStats } from "../values/stats.js"

type Attributes = Readonly<Record<string, unknown>>

/** What a connection is known by. */
interface Subject {
  readonly id: string
}

/** What is told of a connection that is being opened. */
interface Opening {
  readonly attempts: number
  readonly url: string
  span: Tracer.Span | undefined
}

const known = (spans: ReadonlyArray<Tracer.AnySpan | undefined>): ReadonlyArray<Tracer.SpanLink> =>
  spans.flatMap((span) => (span === undefined ? [] : [link(span)]))

/** A tracer is somebody else's: what it throws costs a span, and nothing else. */
const guarded = (f: () => void): Effect.Effect<void> => Effect.sync(() => attempt(f))

const attempt = (f: () => void): void => {
  try {
    f()
  } catch {}
}

/** What may be shown of a server from its URL: never a user, a path or a query string. */
const serverOf = (input: unknown): Attributes => {
  const target = url.parse(input)
  if (typeof target === "string") return {}
  const { hostname, port, protocol } = target
  return {
    "server.address": hostname.replace(/^\[|\]$/g, ""),
    "server.port": port === "" ? (protocol === "wss:" ? 443 : 80) : Number(port)
  }
}

/** What a span is told of a pool. */
type Counts = Pick<PoolStats, "busy" | "closing" | "connecting" | "draining" | "idle" | "maxConnections" | "waiting">

const countsOf = ({ busy, closing, connecting, draining, idle, maxConnections, waiting }: Counts): Attributes => ({
  "pool.connections.connecting": connecting,
  "pool.connections.idle": idle,
  "pool.connections.used": busy,
  "pool.connections.draining": draining,
  "pool.connections.closing": closing,
  "pool.connections.max": maxConnections,
  "pool.pending_requests": waiting
})

/**
 * The spans of a pool. What a `get` waits for belongs to its caller. All else happens in fibers of the pool, which
 * have no parent: those spans are roots of their own, linked to each other.
 */
export class Tracing {
  /** The spans in which connections were opened. They are only kept as what a link needs. */
  private readonly openings = new WeakMap<Subject, Tracer.AnySpan>()
  private readonly closings = new WeakMap<Subject, Tracer.Span>()
  private ending: Tracer.Span | undefined

  constructor(
    private readonly tracer: Tracer.Tracer | undefined,
    private readonly nanos: () => bigint,
    /** What every span of the pool has, and what those of its own fibers have besides. */
    private readonly own: Attributes,
    private readonly annotations: Attributes,
    private readonly links: ReadonlyArray<Tracer.SpanLink>
  ) {}

  /** With the tracer of the current fiber, and what its spans are annotated with. */
  static make(settings: Settings, clock: Clock.Clock): Effect.Effect<Tracing> {
    return Effect.map(
      surroundings,
      ({ annotations, isTimed, links, tracer }) =>
        new Tracing(
          tracer,
          isTimed ? () => nanosOf(clock) : () => 0n,
          { "pool.name": settings.name, ...(Effect.isEffect(settings.url) ? {} : serverOf(settings.url)) },
          annotations,
          links
        )
    )
  }

  // In the caller's fiber

  /** Whether anybody sees the spans of the current fiber. */
  get isTraced(): boolean {
    return isTraced()
  }

  /** Runs a `get` that has to wait, or to connect, in a span of its caller's. */
  acquiring<A extends { readonly item: Subject }, E extends { readonly _tag: string }>(
    stats: () => Counts,
    wait: (span: Tracer.Span) => Effect.Effect<A, E>
  ): Effect.Effect<A, E> {
    const attributes = { ...this.own, ...countsOf(stats()) }
    return Effect.flatMap(makeSpan("WebSocketPool.acquire", attributes), (span) =>
      Effect.onExit(wait(span), (exit) =>
        guarded(() => {
          if (Exit.isSuccess(exit)) {
            const { item } = exit.value
            span.attribute("websocket.connection.id", item.id)
            span.addLinks(known([this.openings.get(item)]))
          } else {
            const error = soleErrorOf(exit.cause)
            if (error !== undefined) span.attribute("error.type", error._tag)
          }
          this.end(span, exit)
        })
      )
    )
  }

  // In fibers of the pool

  /** A connection is to be opened, for the `get` whose span is given, if for any. */
  connecting(opening: Opening, asked: Tracer.AnySpan | undefined): void {
    if (this.tracer !== undefined) opening.span = this.start("WebSocketPool.connect", { links: known([asked]) })
  }

  connected(opening: Opening, exit: Exit.Exit<Subject, ConnectionUnavailableError>): void {
    const { span } = opening
    if (span === undefined) return
    attempt(() => {
      this.describe(span, { ...serverOf(opening.url), "websocket.connect.attempts": opening.attempts })
      if (Exit.isSuccess(exit)) {
        span.attribute("websocket.connection.id", exit.value.id)
        const { sampled, spanId, traceId } = span
        this.openings.set(exit.value, Tracer.externalSpan({ spanId, traceId, sampled }))
      }
      this.endConnect(span, exit)
    })
  }

  /** The span of an attempt, for the hooks that it runs. */
  attempting(opening: Opening, { id }: Subject): Tracer.Span | undefined {
    if (this.tracer === undefined) return undefined
    return this.start("WebSocketPool.connect.attempt", {
      parent: opening.span,
      kind: "client",
      attributes: { "websocket.connection.id": id, "websocket.connect.attempt": opening.attempts }
    })
  }

  attempted(
    opening: Opening,
    span: Tracer.Span | undefined,
    exit: Exit.Exit<unknown, ConnectionUnavailableError>
  ): void {
    if (span === undefined) return
    attempt(() => {
      this.describe(span, serverOf(opening.url))
      this.endConnect(span, exit)
    })
  }

  private endConnect(span: Tracer.Span, exit: Exit.Exit<unknown, ConnectionUnavailableError>): void {
    const error = Exit.isFailure(exit) ? soleErrorOf(exit.cause) : undefined
    if (error !== undefined) {
      const { reason, status } = error
      span.attribute("error.type", reason)
      if (status !== undefined) span.attribute("http.response.status_code", status)
    }
    this.end(span, exit)
  }

  /** A wait for a connection to fall quiet is over; `reason` says that it was closed instead. */
  drained(subject: Subject, elapsed: number, dropped: number, reason?: CloseReason): void {
    if (this.tracer === undefined || elapsed <= 0) return
    const links = known([this.openings.get(subject)])
    const span = this.start("WebSocketPool.drain", {
      links,
      attributes: { "websocket.connection.id": subject.id, "websocket.messages.dropped": dropped },
      since: this.nanos() - BigInt(Math.round(elapsed * 1e6))
    })
    if (span === undefined) return
    if (reason !== undefined) this.describe(span, { "websocket.close.reason": reason })
    this.end(span)
  }

  /** The pool begins to close a connection. */
  closing(subject: Subject, reason: CloseReason): void {
    if (this.tracer === undefined) return
    const span = this.start("WebSocketPool.close.connection", {
      parent: this.ending,
      links: known([this.openings.get(subject)]),
      attributes: { "websocket.connection.id": subject.id, "websocket.close.reason": reason }
    })
    if (span !== undefined) this.closings.set(subject, span)
  }

  closed(subject: Subject, code: number): void {
    if (this.tracer === undefined) return
    const span = this.closings.get(subject)
    if (span === undefined) return
    this.closings.delete(subject)
    this.describe(span, { "websocket.close.code": code })
    this.end(span)
  }

  poolClosing(stats: () => Counts): void {
    if (this.tracer !== undefined) this.ending = this.start("WebSocketPool.close", { attributes: countsOf(stats()) })
  }

  poolClosed(): void {
    if (this.ending !== undefined) this.end(this.ending)
  }

  // Spans

  private start(
    name: string,
    options: Pick<Tracer.SpanOptions, "attributes" | "kind" | "links" | "parent"> & { readonly since?: bigint }
  ): Tracer.Span | undefined {
    const { attributes = {}, kind = "internal", links = [], parent, since } = options
    let span: Tracer.Span
    try {
      span = startSpan(this.tracer!, name, parent, [...this.links, ...links], since ?? this.nanos(), kind)
    } catch {
      return undefined
    }
    this.describe(span, { ...this.annotations, ...this.own, ...attributes })
    return span
  }

  private describe(span: Tracer.Span, attributes: Attributes): void {
    attempt(() => {
      for (const [key, value] of Object.entries(attributes)) span.attribute(key, value)
    })
  }

  /** A tracer learns how it ended, and not the value, behind which there are secrets. */
  private end(span: Tracer.Span, exit: Exit.Exit<unknown, unknown> = Exit.void): void {
    attempt(() => span.end(this.nanos(), Exit.asVoid(exit)))
  }
}
