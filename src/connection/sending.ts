import * as Effect from "#effect/Effect"
import { cancellable } from "../core/cancellable.js"
import type { ConnectionError } from "../values/errors.js"
import type { Message } from "../values/message.js"
import type { Holder } from "./holder.js"

/** Who has a message to be sent, and is told when the socket has taken it. */
export interface Sender {
  readonly lease: Holder
  readonly message: Message
  /** Whether nobody wants the message to go out any more. */
  readonly isWithdrawn: boolean
  readonly sent: () => void
  /** Called in the middle of something, as `fail` of a reader is. */
  readonly refuse: (refusal: Effect.Effect<never, ConnectionError>) => void
}

/** One that does not change its mind but by `withdraw`. */
export const senderOf = (lease: Holder, message: Message, sent: Sender["sent"], refuse: Sender["refuse"]): Sender => ({
  lease,
  message,
  isWithdrawn: false,
  sent,
  refuse
})

/** What a connection sends with. */
interface Outlet {
  readonly post: (sender: Sender) => void
  readonly withdraw: (sender: Sender) => boolean
}

/** Sends a message when there is room for it, unless it is interrupted before. */
export const sendLater = (outlet: Outlet, lease: Holder, message: Message): Effect.Effect<void, ConnectionError> =>
  cancellable((resume) => {
    const sender = senderOf(lease, message, () => resume(Effect.void), resume)
    // It joins a step later: what ended it, or made room, in between would not be told again.
    outlet.post(sender)
    return () => {
      outlet.withdraw(sender)
      return undefined
    }
  })

/** Those who wait for room, in line. Most connections never have one. */
export class Backlog {
  private senders: Array<Sender> = []

  get isEmpty(): boolean {
    return this.senders.length === 0
  }

  add(sender: Sender): void {
    this.senders.push(sender)
  }

  next(): Sender | undefined {
    return this.senders.shift()
  }

  /** Takes one out, and says whether it was there. */
  remove(sender: Sender): boolean {
    const index = this.senders.indexOf(sender)
    if (index >= 0) this.senders.splice(index, 1)
    return index >= 0
  }

  /** Refuses all, and has none left before the first is told. */
  refuse(refusal: () => Effect.Effect<never, ConnectionError>): void {
    const { senders } = this
    this.senders = []
    for (const sender of senders) sender.refuse(refusal())
  }
}
