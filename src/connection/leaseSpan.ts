import * as Fiber from "effect/Fiber"
import type { AnySpan } from "effect/Tracer"

/** The span of the fiber that runs right now. */
export const currentSpan = (): AnySpan | undefined => {
  const fiber = Fiber.getCurrentFiber()
  return fiber._tag === "Some" ? fiber.value.currentSpan : undefined
}

/** One that comes from another process is known by its id alone. */
export const nameOf = (span: AnySpan | undefined): string | undefined => (span?._tag === "Span" ? span.name : undefined)
