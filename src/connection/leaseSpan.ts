import type { AnySpan } from "#effect/Tracer"

/** The name of the span in which a lease was taken. One that comes from another process is known by its id alone. */
export const nameOf = (span: AnySpan | undefined): string | undefined => (span?._tag === "Span" ? span.name : undefined)
