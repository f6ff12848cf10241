import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { makeTimer, type Timers } from "./timers.js"

/** How a fiber of the pool is started. */
export type Fork = <A, E>(
  effect: Effect.Effect<A, E>,
  options?: { readonly immediate?: boolean }
) => Fiber.RuntimeFiber<A, E>

/**
 * Bounds an effect by a timer of the pool: past it the effect is interrupted, and once it has ended the whole
 * fails. One fiber, and no race that could leave a sleeper behind.
 */
export const within = <A, E, E2>(
  { fork, timers }: { readonly fork: Fork; readonly timers: Timers },
  effect: Effect.Effect<A, E>,
  millis: number,
  onTimeout: () => E2
): Effect.Effect<A, E | E2> => {
  if (millis === Number.POSITIVE_INFINITY) return effect
  return Effect.async((resume) => {
    let isLate = false
    const fiber = fork(Effect.interruptible(effect))
    const timer = makeTimer(() => {
      isLate = true
      fiber.unsafeInterruptAsFork(FiberId.none)
    })
    timers.set(timer, timers.now() + millis)
    fiber.addObserver((exit) => {
      timers.clear(timer)
      resume(isLate && Exit.isInterrupted(exit) ? Effect.fail(onTimeout()) : exit)
    })
    return Effect.suspend(() => {
      timers.clear(timer)
      return Fiber.interrupt(fiber)
    })
  })
}

/**
 * Runs a hook so that it can be abandoned at once, even one that cannot be interrupted: then it goes on by itself,
 * and only the pool's own end waits for it.
 */
export const abandonable = <A, E>({ fork }: { readonly fork: Fork }, hook: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.async((resume) => {
    const fiber = fork(Effect.interruptible(hook))
    fiber.addObserver(resume)
    return Effect.sync(() => fiber.unsafeInterruptAsFork(FiberId.none))
  })
