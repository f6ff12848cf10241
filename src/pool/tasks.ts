import { type Fork, interrupt } from "#dialect"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type * as Fiber from "#effect/Fiber"
import type { Link } from "../connection/link.js"
import type { Limit } from "../core/limit.js"
import type { Slot } from "../core/slot.js"
import type { AcquireError } from "../values/errors.js"

export type Place = Slot<Link, AcquireError>

/** What a slot waits for, from before its fiber starts to its end. */
interface Task {
  fiber: Fiber.Fiber<void> | undefined
  /** Set when it is interrupted by what its own fiber does at its start. */
  isInterrupted: boolean
}

/** What slots wait for: at most one task for each, in a fiber of its own. */
export class Tasks {
  private readonly running = new Map<Place, Task>()

  constructor(private readonly fork: Fork) {}

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
    const task: Task = { fiber: undefined, isInterrupted: false }
    this.running.set(slot, task)
    let isOver = false
    const over = (exit: Exit.Exit<A, E>): void => {
      isOver = true
      if (this.running.get(slot) === task) this.running.delete(slot)
      onExit(limit === undefined ? exit : limit.end(exit))
    }
    const fiber = this.fork(
      Effect.matchCause(body, {
        onFailure: (cause) => over(Exit.failCause(cause)),
        onSuccess: (value) => over(Exit.succeed(value))
      })
    )
    if (isOver) return
    task.fiber = fiber
    limit?.start(fiber)
    // A hook may have closed the pool while this very fiber was being started.
    if (task.isInterrupted) interrupt(fiber)
  }

  /** Says whether there was a task to interrupt. */
  interrupt(slot: Place): boolean {
    const task = this.running.get(slot)
    if (task === undefined) return false
    task.isInterrupted = true
    if (task.fiber !== undefined) interrupt(task.fiber)
    return true
  }
}
