import type { WebSocket } from "ws"
import type { Message } from "../../values/message.js"
import type { RawSocket } from "./traffic.js"
import { atEndOfTurn } from "./turn.js"
import { longMessage, type Writer, type WriterHost } from "./writer.js"

const text = { binary: false }
const binary = { binary: true }

/** A short text, as a ping, is cheaper as bytes: header and payload become one write. A long one would be copied once more. */
const shortText = 1024

/** Has `ws` make the frames, which it may compress. */
export class StreamWriter implements Writer {
  private readonly isCompressed: boolean
  /** A short text that is written at the end of the turn. For one alone a cork would cost more than the write. */
  private waiting: Buffer | undefined = undefined
  private isCorked = false

  constructor(
    private readonly ws: WebSocket,
    private readonly raw: RawSocket,
    private readonly host: WriterHost
  ) {
    this.isCompressed = ws.extensions !== ""
  }

  get pending(): number {
    return this.waiting === undefined ? 0 : this.waiting.byteLength
  }

  send(message: Message): number {
    if (typeof message !== "string") {
      if (message.byteLength > longMessage) this.endTurn()
      else this.cork()
      // `ws` masks into a copy, at once; but what it compresses, it keeps until its turn comes.
      this.write(this.isCompressed ? new Uint8Array(message) : message, binary)
      return message.byteLength
    }
    if (message.length > shortText) {
      if (message.length > longMessage) this.endTurn()
      else this.cork()
      this.write(message, text)
      return Buffer.byteLength(message)
    }
    const bytes = Buffer.from(message)
    if (this.isCorked) this.write(bytes, text)
    else if (this.waiting === undefined) {
      this.waiting = bytes
      atEndOfTurn(this)
    } else {
      this.cork()
      this.write(bytes, text)
    }
    return bytes.byteLength
  }

  private write(data: Message, options: { readonly binary: boolean }): void {
    if (!this.host.isOpen) return
    try {
      this.ws.send(data, options, this.host.onFlushed)
    } catch {
      this.host.destroy()
    }
  }

  private cork(): void {
    if (this.isCorked) return
    this.isCorked = true
    this.raw.cork?.()
    if (this.waiting === undefined) atEndOfTurn(this)
    else this.flush()
  }

  flush(): void {
    const { waiting } = this
    if (waiting === undefined) return
    this.waiting = undefined
    this.write(waiting, text)
  }

  endTurn(): void {
    this.flush()
    if (!this.isCorked) return
    this.isCorked = false
    try {
      this.raw.uncork?.()
    } catch {
      // A stream that an agent has brought: its fault is no other socket's.
      this.host.destroy()
    }
  }

  drop(): void {
    this.waiting = undefined
  }
}
