import { type Order, Outbox } from "./outbox.js"

/**
 * What comes after a transition, whichever it was: what it has ordered is carried out, and those are served who can be,
 * round after round, until there is nothing left to do.
 */
export class Rounds<A, E> {
  private readonly outbox = new Outbox<A, E>()
  /** Whether something has happened since it was last looked at who can be served. */
  private isDue = false
  private isWorking = false

  constructor(
    private readonly carryOut: (order: Order<A, E>) => void,
    /** Hands out what is free and orders what is missing. It says whether to look again. */
    private readonly handOut: () => boolean
  ) {}

  /** Orders something, to be carried out once the transition is over. */
  put(order: Order<A, E>): void {
    this.outbox.put(order)
  }

  /** Whether everything that was ordered has been carried out. */
  get isCaughtUp(): boolean {
    return this.outbox.isEmpty
  }

  /** Looks who can be served, once the transition is over. */
  serve(): void {
    this.isDue = true
    this.work()
  }

  /** Carries out what has been ordered, and serves, until there is nothing left to do. Nothing calls it in a transition. */
  work(): void {
    if (this.isWorking || !(this.isDue || !this.outbox.isEmpty)) return
    this.isWorking = true
    try {
      while (this.isDue || !this.outbox.isEmpty) {
        // What was made, or has failed, at once is handed out before more is made: it changes what is missing, and for whom.
        const order = this.outbox.take()
        if (order !== undefined) this.carryOut(order)
        else {
          this.isDue = false
          if (this.handOut()) this.isDue = true
        }
      }
    } finally {
      this.isWorking = false
    }
  }
}
