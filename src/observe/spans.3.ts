import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { spanIn } from "../effect/3/dialect.js"

/** Effect's own tracer keeps spans where nobody will ever see them: then none is made. */
const nobody = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** What the spans of the current fiber are made with. */
export interface Surroundings {
  /** Who sees them, if anybody does. */
  readonly tracer: Tracer.Tracer | undefined
  readonly isTimed: boolean
  readonly annotations: Readonly<Record<string, unknown>>
  readonly links: ReadonlyArray<Tracer.SpanLink>
}

export const surroundings: Effect.Effect<Surroundings> = Effect.gen(function* () {
  const tracer = yield* Effect.tracer
  const isEnabled = yield* FiberRef.get(FiberRef.currentTracerEnabled)
  const isTimed = yield* FiberRef.get(FiberRef.currentTracerTimingEnabled)
  const annotations = yield* Effect.spanAnnotations
  const links = yield* Effect.spanLinks
  return {
    tracer: tracer === nobody || !isEnabled ? undefined : tracer,
    isTimed,
    annotations: Object.fromEntries(HashMap.toEntries(annotations)),
    links: Chunk.toReadonlyArray(links)
  }
})

/** Whether anybody sees the spans of the fiber that runs right now. */
export const isTraced = (): boolean => {
  const fiber = Fiber.getCurrentFiber()
  return Option.isSome(fiber) && fiber.value.currentTracer !== nobody
}

export const link = (span: Tracer.AnySpan): Tracer.SpanLink => ({ _tag: "SpanLink", span, attributes: {} })

/** A span of the current fiber's. */
export const makeSpan = (name: string, attributes: Readonly<Record<string, unknown>>): Effect.Effect<Tracer.Span> =>
  Effect.makeSpan(name, { attributes, captureStackTrace: false })

/** Not below what happens to be active when a timer or a socket wakes the pool. */
export const startSpan = (
  tracer: Tracer.Tracer,
  name: string,
  parent: Tracer.AnySpan | undefined,
  links: ReadonlyArray<Tracer.SpanLink>,
  since: bigint,
  kind: Tracer.SpanKind
): Tracer.Span =>
  tracer.span(name, Option.fromNullable(parent), Context.empty(), links, since, kind, { root: parent === undefined })

/** What something failed with, if it did nothing but fail, once. */
export const soleErrorOf = <E>(cause: Cause.Cause<E>): E | undefined =>
  Cause.isFailType(cause) ? cause.error : undefined

/** The spans within which a fiber is. */
export type Within = Tracer.AnySpan | undefined

export const within: (fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined) => Within = spanIn

export const spanOf = (spans: Within): Tracer.AnySpan | undefined => spans

/** Fails as within those spans: printed, it shows the places where they were made. */
export const failWithin = <E>(error: E, span: Within): Effect.Effect<never, E> =>
  span === undefined ? Effect.failCause(Cause.fail(error)) : Effect.withParentSpan(Effect.fail(error), span)
