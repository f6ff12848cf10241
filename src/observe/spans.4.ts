import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"

/** What the spans of the current fiber are made with. */
export interface Surroundings {
  /** Who sees them, if anybody does. */
  readonly tracer: Tracer.Tracer | undefined
  readonly isTimed: boolean
  readonly annotations: Readonly<Record<string, unknown>>
  readonly links: ReadonlyArray<Tracer.SpanLink>
}

/** Effect's own tracer keeps spans where nobody will ever see them: then none is made. */
const seenBy = ({ cache: { tracer } }: Fiber.Fiber<unknown, unknown>): Tracer.Tracer | undefined =>
  tracer === Tracer.nativeTracer ? undefined : tracer

export const surroundings: Effect.Effect<Surroundings> = Effect.withFiber((fiber) =>
  Effect.succeed({
    tracer: fiber.cache.tracerEnabled ? seenBy(fiber) : undefined,
    isTimed: fiber.getRef(References.TracerTimingEnabled),
    annotations: fiber.getRef(References.TracerSpanAnnotations),
    links: fiber.getRef(References.TracerSpanLinks)
  })
)

/** Whether anybody sees the spans of the fiber that runs right now. */
export const isTraced = (): boolean => {
  const fiber = Fiber.getCurrent()
  return fiber !== undefined && seenBy(fiber) !== undefined
}

export const link = (span: Tracer.AnySpan): Tracer.SpanLink => ({ span, attributes: {} })

/** A span of the current fiber's. */
export const makeSpan = (name: string, attributes: Readonly<Record<string, unknown>>): Effect.Effect<Tracer.Span> =>
  Effect.makeSpan(name, { attributes })

/** Not below what happens to be active when a timer or a socket wakes the pool. */
export const startSpan = (
  tracer: Tracer.Tracer,
  name: string,
  parent: Tracer.AnySpan | undefined,
  links: ReadonlyArray<Tracer.SpanLink>,
  startTime: bigint,
  kind: Tracer.SpanKind
): Tracer.Span =>
  tracer.span({
    name,
    parent: Option.fromNullishOr(parent),
    annotations: Context.empty(),
    links: [...links],
    startTime,
    kind,
    root: parent === undefined,
    sampled: parent?.sampled ?? true
  })

/** What something failed with, if it did nothing but fail, once. */
export const soleErrorOf = <E>({ reasons }: Cause.Cause<E>): E | undefined => {
  const [reason] = reasons
  return reason !== undefined && reasons.length === 1 && Cause.isFailReason(reason) ? reason.error : undefined
}

/** The spans within which a fiber is. The places where they were made are none of their own. */
export interface Within {
  readonly span: Tracer.AnySpan | undefined
  readonly places: References.StackFrame | undefined
}

export const within = (fiber: Fiber.Fiber<unknown, unknown> | undefined): Within => {
  const cache = fiber?.cache
  return { span: cache?.span, places: cache?.stackFrame }
}

export const spanOf = ({ span }: Within): Tracer.AnySpan | undefined => span

/** Fails as within those spans: printed, it shows the places where they were made. */
export const failWithin = <E>(error: E, { places }: Within): Effect.Effect<never, E> =>
  Effect.provideService(Effect.fail(error), References.CurrentStackFrame, places)
