import type * as Tracer from "#effect/Tracer"
import type { Link } from "../connection/link.js"
import type { QuotaPermit } from "../values/quota.js"
import type { SetupStep } from "../values/reasons.js"
import type { Place } from "./tasks.js"

/** A connection that is being established. */
export class Creation {
  attempts = 0
  link: Link | undefined = undefined
  /** Whose turn it is in the attempt that is under way, the transport's aside. */
  step: SetupStep | undefined = undefined
  /** Whether the pool has given it up. */
  isAborted = false
  /** Whether nobody needed it any more before it had begun: the pool has forgotten it. */
  isWithdrawn = false
  /** The permit of the quota for its next attempt. */
  permit: QuotaPermit | undefined = undefined
  /** The span of all its attempts. */
  span: Tracer.Span | undefined = undefined

  constructor(
    readonly slot: Place,
    /** When it was ordered, or when its first attempt was permitted. */
    public startedAt: number,
    /** Where to, as far as it is known, in the form that may be shown. */
    public url: string,
    /** The host that it connects to, once that is known. */
    public host: string | undefined
  ) {}
}
