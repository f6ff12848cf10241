import { type Fork, interrupt } from "#dialect"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import { cancellable } from "./cancellable.js"
import type { Timer, Timers } from "./timers.js"

/**
 * How long a fiber may take, by a timer of the pool: past it the fiber is interrupted, and once it has ended the whole
 * has failed. There is no race that could leave a sleeper behind.
 */
export class Limit<E> implements Timer {
  due = 0
  position = -1
  private isPast = false
  private isPaused = false
  private fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined

  constructor(
    private readonly timers: Timers,
    private readonly millis: number,
    private readonly onTimeout: () => E,
    /**
     * Whether it judges a server: then a program that was held up, and has not read yet what came meanwhile, gives it
     * the time that was lost again, once.
     */
    private isLenient = true
  ) {}

  start(fiber: Fiber.Fiber<unknown, unknown>): void {
    this.fiber = fiber
    if (!this.isPaused) this.restart()
  }

  /** Lets the time stand still, until it begins anew. */
  pause(): void {
    this.isPaused = true
    this.timers.clear(this)
  }

  restart(): void {
    this.isPaused = false
    this.timers.set(this, this.timers.now() + this.millis)
  }

  onDue(): void {
    const now = this.timers.now()
    const late = now - this.due
    if (this.isLenient && late >= 1) {
      this.isLenient = false
      this.timers.set(this, now + Math.min(2 * late, this.millis))
      return
    }
    this.isPast = true
    if (this.fiber !== undefined) interrupt(this.fiber)
  }

  /** What the end of the fiber comes to. */
  end<A, E2>(exit: Exit.Exit<A, E2>): Exit.Exit<A, E | E2> {
    this.timers.clear(this)
    return this.isPast && Exit.hasInterrupts(exit) ? Exit.fail(this.onTimeout()) : exit
  }
}

/** Bounds an effect. */
export const within = <A, E, E2>(fork: Fork, effect: Effect.Effect<A, E>, limit: Limit<E2>): Effect.Effect<A, E | E2> =>
  cancellable((resume) => {
    const fiber = fork(Effect.interruptible(effect))
    limit.start(fiber)
    fiber.addObserver((exit) => resume(limit.end(exit)))
    return () => Fiber.interrupt(fiber)
  })

/**
 * Runs a hook so that it can be abandoned at once, even one that cannot be interrupted: then it goes on by itself,
 * and only the pool's own end waits for it.
 */
export const abandonable = <A, E>(fork: Fork, hook: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  cancellable((resume) => {
    const fiber = fork(Effect.interruptible(hook))
    fiber.addObserver(resume)
    return () => {
      interrupt(fiber)
      return undefined
    }
  })
