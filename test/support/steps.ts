import type * as Effect from "#effect/Effect"
import type * as Fiber from "#effect/Fiber"
import { forkStepwise, withoutMicrotasks } from "#support/fibers"

/** Fibers that go on when they are told to, one step after the other. */
export class Steps {
  private tasks: Array<() => void> = []

  /** `mayYield` is asked before each step of a fiber whether it lets others go first. */
  constructor(private readonly mayYield: () => boolean) {}

  private readonly schedule = (task: () => void): void => {
    this.tasks.push(task)
  }

  /** Does something that lets fibers go on, later. */
  do<A>(f: () => A): A {
    return withoutMicrotasks(this.schedule, f)
  }

  /** Starts a fiber: it goes as far as it gets. */
  fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return this.do(() => forkStepwise(effect, { schedule: this.schedule, mayYield: this.mayYield }))
  }

  /** Lets so many things happen that are due. */
  run(steps = 1_000): void {
    this.do(() => {
      for (let step = 0; step < steps && this.tasks.length > 0; step++) this.tasks.shift()!()
    })
  }
}

/** Lets others go first before this one of the steps. */
export const atStep = (step: number): (() => boolean) => {
  let asked = 0
  return () => asked++ === step
}
