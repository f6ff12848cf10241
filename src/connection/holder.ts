import type { AnySpan } from "#effect/Tracer"
import type { Message } from "../values/message.js"

/** A message for a fiber that takes it in its next step. */
export interface Kept {
  readonly message: Message
  /** Counts it as dropped no more, once that fiber has ended. */
  readonly forget: () => void
}

/** The handle of a lease, as far as the link knows it. */
export interface Holder {
  /** When it began. */
  readonly since: number
  /** The span of the fiber that took it. */
  readonly span: AnySpan | undefined
  /** What it was promised when it ended. */
  kept: Kept | undefined
}
