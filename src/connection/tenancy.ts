import type { ConnectionClosedError } from "../values/errors.js"
import type { CloseReason } from "../values/events.js"
import type { Message } from "../values/message.js"
import type { Lease } from "./lease.js"
import type { Link } from "./link.js"
import type { Sender } from "./sending.js"

export type { Sender } from "./sending.js"

/**
 * A lease that is driven by calls in place of effects, by whoever holds it for long and shares it out. What is woken or
 * told is called in the middle of what happens to the connection.
 */
export class Tenancy {
  constructor(
    private readonly link: Link,
    private readonly lease: Lease,
    private readonly end: () => void
  ) {}

  get id(): string {
    return this.link.id
  }

  /** Stands for the connection, the same in each of its leases. */
  get connection(): object {
    return this.link
  }

  /** Whether it can be sent on: once the lease is over the connection may be somebody else's. */
  get isOpen(): boolean {
    return !this.lease.isOver && this.link.isOpen
  }

  /** Whether what is sent now would have to wait. */
  get isClogged(): boolean {
    return this.link.isClogged
  }

  /** Whether nothing more will come than what is unread. */
  get hasEnded(): boolean {
    return this.link.end !== undefined
  }

  /** How it ended, or is about to. */
  get closedBy(): ConnectionClosedError | undefined {
    return this.link.endError
  }

  get unread(): number {
    return this.link.inbox.length
  }

  take(): Message {
    return this.link.inbox.takeFor(this.lease)
  }

  takeAll(): ReadonlyArray<Message> {
    return this.link.inbox.takeAllFor(this.lease)
  }

  /** Calls `wake` once, when there is something to take, or the connection has ended. */
  listen(wake: () => void): void {
    this.link.inbox.listen(this.lease, wake)
  }

  /** Sends on an open connection. `undefined`: the socket has taken the message; else `settled` says later if it has. */
  offer(message: Message, settled: (isTaken: boolean) => void): Sender | undefined {
    return this.link.offer(this.lease, message, settled)
  }

  /** Takes a message back, unless the socket has taken it: so it says which. */
  withdraw(sender: Sender): boolean {
    return this.link.withdraw(sender)
  }

  onceRetiring(f: (reason: CloseReason) => void): void {
    this.link.onceRetiring(this.lease, f)
  }

  /** What the server has said cannot be understood. */
  breach(reason: string): void {
    if (!this.lease.isOver) this.link.close(1002, reason, "Local", "Protocol")
  }

  /** Gives it back, for reuse or to be closed. */
  release(isUnfit: boolean): void {
    if (this.lease.isOver) return
    this.lease.isDiscarded ||= isUnfit
    this.end()
  }
}
