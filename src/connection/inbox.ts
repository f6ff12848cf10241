import type { Message } from "../values/message.js"

/** What a message counts beyond its bytes, so that many empty ones count, too. */
export const messageOverhead = 64

/** In place of arrays of its own, which most connections of a large pool do without most of the time. */
const none: Array<never> = []

/** Messages that have been read from a socket and not by its holder, in order. */
export class Inbox {
  private messages: Array<Message> = none
  private sizes: Array<number> = none
  private head = 0
  /** What it holds, as `receiveBuffer` counts it. */
  weight = 0

  get length(): number {
    return this.messages.length - this.head
  }

  push(message: Message, bytes: number): void {
    if (this.messages === none) {
      this.messages = []
      this.sizes = []
    }
    this.messages.push(message)
    this.sizes.push(bytes)
    this.weight += bytes + messageOverhead
  }

  /** The size of the next message. */
  get nextBytes(): number {
    return this.sizes[this.head]!
  }

  get next(): Message {
    return this.messages[this.head]!
  }

  take(): Message {
    const { head, messages, sizes } = this
    if (head === 0 && messages.length === 1) {
      // Most often there is one: to take it off the end is cheaper than to empty an array.
      this.weight = 0
      sizes.pop()
      return messages.pop()!
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
    const all = this.head === 0 ? this.messages : this.messages.slice(this.head)
    this.messages = this.sizes = none
    this.head = this.weight = 0
    return all
  }

  /** Takes over what another one holds. */
  append(other: Inbox): void {
    for (let index = other.head; index < other.messages.length; index++) {
      this.push(other.messages[index]!, other.sizes[index]!)
    }
  }

  private clear(): void {
    this.messages.length = 0
    this.sizes.length = 0
    this.head = 0
    this.weight = 0
  }
}
