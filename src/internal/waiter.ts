import * as Effect from "effect/Effect"
import type { AnySpan } from "effect/Tracer"
import { Place } from "./list.js"
import type { Slot } from "./slot.js"
import type { Timer } from "./timers.js"

/** What a waiter is given in the end: a slot leased to it, or an error. */
export type Outcome<A, E> = Effect.Effect<Slot<A, E>, E>

/** What a waiter asks for. */
export interface Request {
  /** Whether it wants an item made for it. */
  readonly fresh: boolean
  /** Until when it waits. */
  readonly deadline: number
  /** In which it waits, if it is traced. */
  readonly span?: AnySpan | undefined
}

/** The place of a waiter among those in line who have started no creation that is still under way. */
export class Bare<A, E> extends Place<Bare<A, E>> {
  constructor(readonly waiter: Waiter<A, E>) {
    super()
  }
}

/** A `get` that could not be served at once. Out of line it waits for a slot that is held for it. */
export class Waiter<A, E> extends Place<Waiter<A, E>> implements Timer {
  readonly bare: Bare<A, E> = new Bare<A, E>(this)
  /** The creation that it started. */
  creation: Slot<A, E> | undefined = undefined
  /** The slot that is held for it. */
  held: Slot<A, E> | undefined = undefined
  /** The slot that it was given and has not accepted yet. */
  granted: Slot<A, E> | undefined = undefined
  done = false

  // Its timer is its deadline, out of line.
  due = 0
  position = -1

  private outcome: Outcome<A, E> | undefined = undefined
  private resume: ((outcome: Outcome<A, E>) => void) | undefined = undefined

  /** Whether an item was checked for it already: once is enough. */
  checked: boolean
  /** Whether an item that it was granted had ended before it could accept it. */
  wasUnlucky: boolean

  constructor(
    /** Its number: a lower one has waited longer. */
    readonly turn: number,
    readonly request: Request,
    private readonly expire: (waiter: Waiter<A, E>) => void,
    /** What it was when it had its turn before. */
    before: Waiter<A, E> | undefined
  ) {
    super()
    this.checked = before?.checked ?? false
    this.wasUnlucky = before?.wasUnlucky ?? false
  }

  /** Waits for the outcome. It has no finaliser: whoever runs it tells the pool when it was interrupted. */
  readonly wait: Outcome<A, E> = Effect.async((resume) => {
    if (this.outcome === undefined) this.resume = resume
    else resume(this.outcome)
  })

  grant(slot: Slot<A, E>): void {
    this.granted = slot
    this.settle(Effect.succeed(slot))
  }

  settle(outcome: Outcome<A, E>): void {
    this.done = true
    if (this.resume === undefined) this.outcome = outcome
    else this.resume(outcome)
  }

  onDue(): void {
    this.expire(this)
  }
}
