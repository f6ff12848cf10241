import type { AnySpan } from "#effect/Tracer"
import type { Message } from "../values/message.js"

/** The handle of a lease, as far as the link knows it. */
export interface Holder {
  /** When it began. */
  readonly since: number
  /** The span of the fiber that took it. */
  readonly span: AnySpan | undefined
  /** A message that it had claimed when it ended. */
  kept: Message | undefined
}
