import { callback, realTurn, turn } from "#dialect"
import * as Cause from "#effect/Cause"
import * as Effect from "#effect/Effect"

/**
 * Starts something, waits until it resumes, and cancels it when the wait is interrupted: by what
 * `start` returns, which may give an effect to be run, too.
 *
 * `Effect.async` installs the canceller that it is given one step after it has started: an interruption that arrives in
 * between, from a fiber that is started here or at a yield of the scheduler, is noticed before that step and loses the
 * canceller. Here nothing can be interrupted before whoever cancels stands ready.
 */
export const cancellable = <A, E>(
  start: (resume: (effect: Effect.Effect<A, E>) => void) => () => Effect.Effect<unknown> | undefined
): Effect.Effect<A, E> =>
  Effect.uninterruptibleMask((restore) => {
    let outcome: Effect.Effect<A, E> | undefined
    let wake: ((effect: Effect.Effect<A, E>) => void) | undefined
    const cancel = start((effect) => {
      if (outcome !== undefined) return
      outcome = effect
      wake?.(effect)
    })
    const wait = callback<A, E>((resume) => {
      if (outcome === undefined) wake = resume
      else resume(outcome)
    })
    return Effect.matchCauseEffect(restore(wait), {
      onFailure: (cause) => {
        const cancelled = Cause.hasInterrupts(cause) ? cancel() : undefined
        return Effect.isEffect(cancelled) ? Effect.andThen(cancelled, Effect.failCause(cause)) : Effect.failCause(cause)
      },
      onSuccess: Effect.succeed
    })
  })

/** Lets everybody else have a turn, timers and sockets included. It takes no time on a clock that a test drives. */
export const turnOfTheLoop: Effect.Effect<void> = Effect.andThen(Effect.sleep(0), turn)

/**
 * The same, on a clock that a test drives, too. There a sleep of 0 ends at once, and fibers that yield by turns, each
 * with a queue of its own, never let the scheduler go on to the event loop.
 */
export const realTurnOfTheLoop: Effect.Effect<void> = realTurn
