import type { Fork } from "#dialect"
import * as Cause from "#effect/Cause"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Predicate from "#effect/Predicate"
import type * as Scope from "#effect/Scope"
import { Lease } from "../connection/lease.js"
import type { Link } from "../connection/link.js"
import { abandonable, Limit, within } from "../core/limit.js"
import type { Timers } from "../core/timers.js"
import type { Hook } from "../options/decode.js"

export type HookName = "onConnect" | "healthCheck" | "onRelease"

/** A hook that cannot be run. To call it again would change nothing. */
export class BadHook extends Error {}

const ignore = (): void => {}

/** Runs a hook; in JavaScript it may give anything, a promise most often. */
export const call = (name: HookName, hook: Hook, lease: Lease): Effect.Effect<unknown, unknown, Scope.Scope> =>
  Effect.suspend(() => {
    const result: unknown = hook(lease)
    if (Effect.isEffect(result)) return result as Effect.Effect<unknown, unknown, Scope.Scope>
    return Effect.fail(new BadHook(noEffect(name, result)))
  })

/** What to say of a function that has returned something else than an Effect. */
export const noEffect = (name: string, result: unknown): string => {
  const isPromise = Predicate.isPromiseLike(result)
  // Nobody looks at it: if it rejects, that must not end the program.
  if (isPromise) result.then(ignore, ignore)
  const given = isPromise
    ? "a promise: wrap it in Effect.tryPromise"
    : Array.isArray(result)
      ? "an array"
      : typeof result
  return `${name} has to return an Effect, and returned ${given}`
}

/** Runs the hooks that look after a connection between two leases. */
export class Hooks {
  constructor(
    private readonly fork: Fork,
    private readonly timers: Timers,
    private readonly warn: (message: string, cause: Cause.Cause<unknown>) => void
  ) {}

  /** Runs one with a handle of its own, for so many milliseconds at the most. */
  run(name: HookName, link: Link, hook: Hook, limit: number): Effect.Effect<void, unknown> {
    return Effect.suspend(() => {
      const lease = new Lease(link)
      link.lendToHook(lease)
      const run = Effect.scoped(call(name, hook, lease))
      const outcome = Effect.suspend(() =>
        lease.isDiscarded ? Effect.fail(new Error("the hook called discard")) : Effect.void
      )
      const late = () => new Error(`no end within ${Duration.format(Duration.millis(limit))}`)
      return within(
        this.fork,
        abandonable(this.fork, run),
        new Limit(this.timers, limit, late, name !== "onRelease")
      ).pipe(Effect.andThen(outcome), Effect.interruptible, Effect.ensuring(Effect.sync(() => link.endLease())))
    })
  }

  isHealthy(hook: HookName, exit: Exit.Exit<void, unknown>): boolean {
    if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) {
      this.warn(`${hook} has failed; the connection is closed`, exit.cause)
    }
    return Exit.isSuccess(exit)
  }
}
