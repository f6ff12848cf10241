import type { Message } from "../values/message.js"

/** What a message counts beyond its bytes, so that many empty ones count, too. */
export const messageOverhead = 64

/** In place of arrays of its own, which most connections of a large pool do without most of the time. */
const none: Array<never> = []

/** Messages that have been read from a socket and not by its holder, in order. */
export class Inbox {
  /** The next one, if nothing has come before it. Most often it is the only one, and no array is touched. */
  private first: Message | undefined = undefined
  private firstBytes = 0
  /** Those that follow, from `head` on. */
  private messages: Array<Message> = none
  private sizes: Array<number> = none
  private head = 0
  /** What it holds, as `receiveBuffer` counts it. */
  weight = 0

  get length(): number {
    return this.messages.length - this.head + (this.first === undefined ? 0 : 1)
  }

  push(message: Message, bytes: number): void {
    this.weight += bytes + messageOverhead
    if (this.first === undefined && this.head === this.messages.length) {
      this.first = message
      this.firstBytes = bytes
      return
    }
    if (this.messages === none) {
      this.messages = []
      this.sizes = []
    }
    this.messages.push(message)
    this.sizes.push(bytes)
  }

  /** The size of the next message. */
  get nextBytes(): number {
    return this.first === undefined ? this.sizes[this.head]! : this.firstBytes
  }

  get next(): Message {
    return this.first ?? this.messages[this.head]!
  }

  take(): Message {
    const { first, head, messages, sizes } = this
    if (first !== undefined) {
      this.first = undefined
      this.weight -= this.firstBytes + messageOverhead
      return first
    }
    const message = messages[head]!
    this.weight -= sizes[head]! + messageOverhead
    this.head = head + 1
    if (this.head === messages.length) this.clear()
    // Otherwise what has been taken is let go now and then, at a constant cost per message.
    else if (this.head >= 1024 && this.head * 2 >= messages.length) {
      this.messages = messages.slice(this.head)
      this.sizes = sizes.slice(this.head)
      this.head = 0
    } else messages[head] = ""
    return message
  }

  takeAll(): Array<Message> {
    const { first } = this
    const others = this.head === 0 ? this.messages : this.messages.slice(this.head)
    this.first = undefined
    this.messages = this.sizes = none
    this.head = this.weight = 0
    return first === undefined ? others : [first, ...others]
  }

  /** Takes over what another one holds. */
  append(other: Inbox): void {
    if (other.first !== undefined) this.push(other.first, other.firstBytes)
    for (let index = other.head; index < other.messages.length; index++) {
      this.push(other.messages[index]!, other.sizes[index]!)
    }
  }

  private clear(): void {
    this.messages.length = 0
    this.sizes.length = 0
    this.head = 0
  }
}
