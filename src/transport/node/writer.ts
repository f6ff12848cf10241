import type { Message } from "../../values/message.js"
import type { TurnEnd } from "./turn.js"

/** Writes the messages of one socket. */
export interface Writer extends TurnEnd {
  /** Bytes that are kept back until the end of the turn. */
  readonly pending: number
  /** Takes a message and returns its size in bytes. The caller may change its array afterwards. */
  send(message: Message): number
  /** Writes what is kept back, before something goes out by another way. */
  flush(): void
  /** Forgets what is kept back. */
  drop(): void
}

/** The socket that a writer writes for. */
export interface WriterHost {
  readonly isOpen: boolean
  /** One for all writes, since Node handles a row of equal callbacks together. */
  readonly onFlushed: (error?: Error | null) => void
  destroy(): void
}

/** A long message is a burst of its own: it is written at once, behind what is kept back. */
export const longMessage = 16_384
