import { afterwards, hasEnded, isInterrupted, onceEnded } from "#dialect"
import * as Effect from "#effect/Effect"
import type * as Fiber from "#effect/Fiber"
import { ConnectionBusyError, type ConnectionClosedError, type ConnectionError } from "../values/errors.js"
import type { Message } from "../values/message.js"
import type { Holder, Kept } from "./holder.js"
import { Inbox } from "./inbox.js"

/** Where messages come from. */
export interface Source {
  readonly id: string
  /** Who may read. */
  readonly lease: Holder | undefined
  /** With what reading fails once all has been read, if nothing more will come. */
  readonly closedError: ConnectionClosedError | undefined
  /** How much may be unread before it is paused. */
  readonly receiveBuffer: number
  /** There is something for who waits: `wake` is to be called once all that arrives in this turn of the event loop is told. */
  readonly onAwaited: () => void
  /** A message was read and will be given to nobody. */
  readonly onDropped: (bytes: number) => void
  readonly pause: () => void
  readonly resume: () => void
}

interface Receiver {
  /** None where whoever is woken is no fiber. */
  readonly fiber: Fiber.Fiber<unknown, unknown> | undefined
  readonly isInterruptible: boolean
}

export interface Reader extends Receiver {
  /** Makes it look again. */
  readonly wake: () => void
  /** What it waits for is over. Whoever says so is in the middle of something: it looks again once that is done. */
  readonly fail: () => void
}

/** An interruption is no end of what is uninterruptible. */
export const isReceiving = ({ fiber, isInterruptible }: Receiver): boolean =>
  fiber === undefined || (!hasEnded(fiber) && !(isInterruptible && isInterrupted(fiber)))

/** A fiber that waits in `receive`. */
class Receiving<A> implements Reader {
  constructor(
    private readonly reading: Reading,
    readonly fiber: Fiber.Fiber<unknown, unknown>,
    readonly isInterruptible: boolean,
    private readonly again: Effect.Effect<A, ConnectionError>,
    private readonly take: Effect.Effect<A>,
    private readonly resume: (effect: Effect.Effect<A, ConnectionError>) => void
  ) {}

  /** With a promise its fiber need not look. */
  wake(): void {
    this.resume(this.reading.claimFor(this) ? this.take : this.again)
  }

  fail(): void {
    afterwards(() => this.resume(this.again))
  }
}

/** What fails for who holds a connection no more. */
export const released = (connectionId: string): Effect.Effect<never, ConnectionBusyError> =>
  Effect.fail(new ConnectionBusyError({ connectionId, reason: "Released" }))

/** The inbox of a connection with who reads from it: one at a time, woken when there is something to take. */
export class Reading extends Inbox {
  /** Whether the source was told to pause, since too much is unread. */
  isPaused = false
  private reader: Reader | undefined = undefined
  /** Whether the reader will be woken at the end of this turn of the event loop. */
  isWaking = false
  /** Who takes the next message in the next step of its fiber, unless that is interrupted before. */
  private claimant: Receiver | undefined = undefined
  /** What was promised when the lease ended, until it is taken: for whoever tidies up before that it is unread. */
  private untaken: Kept | undefined = undefined
  /** What waits for the first lease while a hook has one. */
  private greeting: Inbox | undefined = undefined

  constructor(private readonly source: Source) {
    super()
  }

  // What comes

  arrive(message: Message, bytes: number): void {
    this.push(message, bytes)
    if (this.reader !== undefined && !this.isWaking) {
      this.isWaking = true
      this.source.onAwaited()
    }
    // One message that is waited for is as good as read, however large it is.
    const isAwaited = this.isWaking && this.length === 1
    if (this.weight > this.source.receiveBuffer && !this.isPaused && !isAwaited) {
      this.isPaused = true
      this.source.pause()
    }
  }

  private unpause(): void {
    this.isPaused = false
    this.source.resume()
  }

  /** Wakes who waits for what has arrived. It goes on at once where Effect lets it: the inbox is as it will be. */
  wake(): void {
    this.isWaking = false
    // It was another lease's, and is dropped.
    if (this.length === 0) return
    const { reader } = this
    this.reader = undefined
    reader?.wake()
  }

  /** What is waited for is over. Whoever says so is in the middle of something, and has to come to its end first. */
  fail(): void {
    const { reader } = this
    this.reader = undefined
    reader?.fail()
  }

  // Reading

  /**
   * The next step of a `receive`: `take`, a wait, or an error.
   *
   * An effect that holds a message can be interrupted before its fiber goes on, and the message is lost. So
   * the message is taken by `take`, a single `Effect.sync`, whose result the fiber's continuation gets within
   * the same step. Until then the fiber has only claimed it.
   */
  receive<A>(
    lease: Holder,
    fiber: Fiber.Fiber<unknown, unknown>,
    isInterruptible: boolean,
    again: Effect.Effect<A, ConnectionError>,
    take: Effect.Effect<A>
  ): Effect.Effect<A, ConnectionError> {
    const outcome = this.outcome(lease, fiber, isInterruptible, take)
    if (outcome !== undefined) return outcome
    // There is no finaliser: it would cost more than all the rest. A reader that was interrupted is found out
    // by the state of its fiber, and waking it does nothing.
    return Effect.callback((resume) => {
      // The scheduler may have let others go first, and they have changed it all.
      const outcome = this.outcome(lease, fiber, isInterruptible, take)
      if (outcome !== undefined) resume(outcome)
      else this.reader = new Receiving(this, fiber, isInterruptible, again, take, resume)
    })
  }

  /** What a `receive` comes to, unless it has to wait. */
  private outcome<A>(
    lease: Holder,
    fiber: Fiber.Fiber<unknown, unknown>,
    isInterruptible: boolean,
    take: Effect.Effect<A>
  ): Effect.Effect<A, ConnectionError> | undefined {
    const { source } = this
    if (source.lease !== lease) return released(source.id)
    const other = this.claimant ?? this.reader
    if (other !== undefined && other.fiber !== fiber && isReceiving(other)) return this.busy
    if (this.length > 0) {
      this.claimant = { fiber, isInterruptible }
      return take
    }
    const { closedError } = source
    return closedError === undefined ? undefined : Effect.fail(closedError)
  }

  /** Promises what has come to who has waited for it. */
  claimFor(receiver: Receiver): boolean {
    if (!isReceiving(receiver)) return false
    this.claimant = receiver
    return true
  }

  /** Calls `wake` once, when there is something to take, or the connection has ended, and not before this call returns. */
  listen(lease: Holder, wake: () => void): void {
    if (this.source.lease !== lease) return
    this.reader = { fiber: undefined, isInterruptible: false, wake, fail: () => afterwards(wake) }
  }

  /** What a reader that is no fiber can take now, or fails with. If there is neither, it is woken once there is. */
  look(reader: Reader): "Message" | ConnectionClosedError | undefined {
    if (this.length > 0) return "Message"
    const { closedError } = this.source
    if (closedError !== undefined) return closedError
    this.reader = reader
    return undefined
  }

  takeFor(lease: Holder): Message {
    if (this.source.lease !== lease) return this.takeKept(lease)
    this.claimant = undefined
    return this.takeNext()
  }

  private takeNext(): Message {
    const message = this.take()
    if (this.isPaused && this.weight <= this.source.receiveBuffer / 2) this.unpause()
    return message
  }

  /** At least one: it is only taken from when something is there. */
  takeAllFor(lease: Holder): [Message, ...Array<Message>] {
    if (this.source.lease !== lease) return [this.takeKept(lease)]
    this.claimant = undefined
    const messages = this.takeAll()
    if (this.isPaused) this.unpause()
    return messages as [Message, ...Array<Message>]
  }

  /** Whether nothing was left unread. */
  get isRead(): boolean {
    return this.length === 0 && this.untaken === undefined
  }

  /** Throws away what is unread, up to the first message that may not be. */
  drop(mayDrop: (message: Message) => boolean = () => true): boolean {
    if (this.untaken !== undefined && !mayDrop(this.untaken.message)) return false
    this.untaken = undefined
    while (this.length > 0) {
      if (!mayDrop(this.next)) return false
      const bytes = this.nextBytes
      this.take()
      this.source.onDropped(bytes)
    }
    if (this.isPaused) this.unpause()
    return true
  }

  private get busy(): Effect.Effect<never, ConnectionBusyError> {
    return Effect.fail(new ConnectionBusyError({ connectionId: this.source.id, reason: "Receiving" }))
  }

  // Leases

  /** Puts what is unread aside: a hook sees nothing of what waits for the first lease. */
  setAside(): void {
    this.greeting = new Inbox()
    this.greeting.append(this)
    this.takeAll()
  }

  /** Puts what was set aside back, before what has come since. */
  putBack(): void {
    const { greeting } = this
    if (greeting === undefined) return
    this.greeting = undefined
    greeting.append(this)
    this.takeAll()
    this.append(greeting)
  }

  /** Lets who was promised a message have it, though the lease ends before the next step of its fiber. */
  keepFor(lease: Holder, isTidied: boolean): void {
    const { claimant } = this
    this.claimant = undefined
    if (claimant?.fiber === undefined || !isReceiving(claimant)) return
    const { nextBytes } = this
    const message = this.takeNext()
    // It may still be interrupted.
    const forget = onceEnded(claimant.fiber, () => this.source.onDropped(nextBytes))
    lease.kept = { message, forget }
    if (isTidied) this.untaken = lease.kept
  }

  private takeKept(lease: Holder): Message {
    const kept = lease.kept!
    kept.forget()
    if (this.untaken === kept) this.untaken = undefined
    return kept.message
  }
}
