import type { CloseReason } from "../values/events.js"
import type { Message } from "../values/message.js"
import type { Rules } from "./watch.js"

/** What a connection needs to know of its pool, and tells it. */
export interface Host<Link> extends Rules {
  readonly receiveBuffer: number
  readonly sendBuffer: number
  readonly closeTimeout: number
  readonly hasHealthCheck: boolean
  /** Calls `wake` once all that arrives in this turn of the event loop is told. */
  readonly wakeLater: (link: Link) => void
  /** When what comes now has come. */
  readonly receivedAt: () => number
  /** To be counted: a message went out, or came in. */
  readonly onSent: (bytes: number) => void
  readonly onReceived: (bytes: number) => void
  /** A message came that belongs to no lease. */
  readonly onStray: (link: Link, message: Message, bytes: number) => void
  /** A message was read and will be given to nobody. */
  readonly onDropped: (link: Link, bytes: number) => void
  /** Nothing was heard for `pingInterval`, or for nearly as long when another line is silent. */
  readonly onSilent: (link: Link) => void
  /** Nothing moved for `pingTimeout` after a ping. */
  readonly onDead: (link: Link) => void
  /** The connection has ended; its socket may still be there. */
  readonly onEnded: (link: Link) => void
  /** The socket is gone. */
  readonly onGone: (link: Link) => void
  /** Why the pool wants a leased connection back, if it does. */
  readonly retirementOf: (link: Link) => CloseReason | undefined
}
