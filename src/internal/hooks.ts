import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Lease } from "./lease.js"
import type { Link } from "./link.js"
import type { Hook } from "./options.js"
import type { Timers } from "./timers.js"
import { abandonable, type Fork, Limit, within } from "./within.js"

/** Runs the hooks that look after a connection between two leases. */
export class Hooks {
  constructor(
    private readonly fork: Fork,
    private readonly timers: Timers,
    private readonly warn: (message: string, cause: Cause.Cause<unknown>) => void
  ) {}

  /** Runs one with a handle of its own. */
  run(link: Link, hook: Hook, limit: number): Effect.Effect<void, unknown> {
    return Effect.suspend(() => {
      const lease = new Lease(link)
      link.lendToHook(lease)
      const run = Effect.scoped(Effect.suspend(() => hook(lease)))
      const outcome = Effect.suspend(() =>
        lease.isDiscarded ? Effect.fail(new Error("the hook called discard")) : Effect.void
      )
      const late = () => new Error(`no end within ${Duration.format(Duration.millis(limit))}`)
      return within(this.fork, abandonable(this.fork, run), new Limit(this.timers, limit, late)).pipe(
        Effect.zipRight(outcome),
        Effect.interruptible,
        Effect.ensuring(Effect.sync(() => link.endLease()))
      )
    })
  }

  isHealthy(hook: string, exit: Exit.Exit<void, unknown>): boolean {
    if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) {
      this.warn(`${hook} has failed; the connection is closed`, exit.cause)
    }
    return Exit.isSuccess(exit)
  }
}
