import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type { AcquireError } from "../PoolError.js"
import type { Link } from "./link.js"
import type { Slot } from "./slot.js"
import type { Fork, Limit } from "./within.js"

export type Place = Slot<Link, AcquireError>

/** What slots wait for: at most one task for each, in a fiber of its own. */
export class Tasks {
  private readonly running = new Map<Place, Fiber.RuntimeFiber<void>>()

  constructor(
    private readonly fork: Fork,
    /** Whether what a slot waits for is of no use any more. */
    private readonly isAborted: (slot: Place) => boolean
  ) {}

  /**
   * Runs what a slot waits for. What follows from it happens in the same step, so no interruption can lose it. The
   * body says itself which parts of it can be interrupted.
   */
  run<A, E, E2 = never>(
    slot: Place,
    body: Effect.Effect<A, E>,
    onExit: (exit: Exit.Exit<A, E | E2>) => void,
    limit?: Limit<E2>
  ): void {
    let isOver = false
    const over = (exit: Exit.Exit<A, E>): void => {
      isOver = true
      this.running.delete(slot)
      onExit(limit === undefined ? exit : limit.end(exit))
    }
    const fiber = this.fork(
      Effect.matchCause(body, {
        onFailure: (cause) => over(Exit.failCause(cause)),
        onSuccess: (value) => over(Exit.succeed(value))
      })
    )
    if (isOver) return
    this.running.set(slot, fiber)
    limit?.start(fiber)
    // It may be a hook of this very fiber, at its start, that closes the pool.
    if (this.isAborted(slot)) this.interrupt(slot)
  }

  /** Says whether there was a task to interrupt. */
  interrupt(slot: Place): boolean {
    const fiber = this.running.get(slot)
    fiber?.unsafeInterruptAsFork(FiberId.none)
    return fiber !== undefined
  }
}
