import { WebSocket } from "ws"
import type { Message } from "../../values/message.js"
import type { CloseInfo, SocketEvents, TransportSocket } from "../seam.js"

/** Once it has an owner, it tells it what happens: a call costs less than a listener, in time and in memory. */
export class OwnedWebSocket extends WebSocket {
  owner: NodeSocket | undefined = undefined

  override emit(event: string | symbol, ...args: Array<unknown>): boolean {
    const { owner } = this
    if (owner === undefined) return super.emit(event, ...args)
    switch (event) {
      case "message":
        owner.received(args[0] as Buffer, args[1] as boolean)
        break
      case "ping":
        owner.pinged(args[0] as Buffer)
        break
      case "pong":
        owner.ponged(args[0] as Buffer)
        break
      case "error":
        owner.violated(args[0] as NodeJS.ErrnoException)
        break
      case "close":
        owner.closed(args[0] as number, args[1] as Buffer)
    }
    return true
  }
}

interface Handle {
  readonly bytesRead?: unknown
  /** Bytes handed to the system, waiting ones included. */
  readonly bytesWritten?: unknown
  /** The waiting ones. */
  readonly writeQueueSize?: unknown
  /** Of a TLS handle: that of the line beneath. */
  readonly _parent?: Handle | null
}

/** The part of a `net.Socket` that shows what moves. An agent may bring a stream of its own that lacks some of it. */
export interface RawSocket {
  readonly bytesRead?: number
  readonly bytesWritten?: number
  readonly writableLength?: number
  readonly _handle?: Handle | null
  cork?(): void
  uncork?(): void
}

/** What a line has moved so far. */
interface Traffic {
  readonly read: number
  /** Bytes that the system has taken. */
  readonly taken: number
  /** Bytes that wait until the system takes them. */
  readonly waiting: number
}

/**
 * The public counters see a chunk only when all of it has been written, however large it is, and a TLS record
 * when all of it has been read. The handle knows better; Node's own socket timeout looks at its `writeQueueSize`
 * too. It is no public property: without it, the public counters must do.
 */
const trafficOf = ({ _handle, bytesRead = 0, bytesWritten = 0, writableLength = 0 }: RawSocket): Traffic => {
  const line = _handle?._parent ?? _handle
  return typeof line?.bytesRead === "number" &&
    typeof line.bytesWritten === "number" &&
    typeof line.writeQueueSize === "number"
    ? { read: line.bytesRead, taken: line.bytesWritten - line.writeQueueSize, waiting: line.writeQueueSize }
    : { read: bytesRead, taken: bytesWritten - writableLength, waiting: writableLength }
}

/** The sockets that were written to in this turn of the event loop. */
let written: Array<NodeSocket> = []
let isFlushedAtExit = false

/** The real one, whatever a test puts in its place later. */
const { nextTick } = process

/**
 * What many sockets are given to write in one go, they write at its end, before the event loop goes on: the
 * system wakes the server once instead of each time. Several messages of one socket become one write.
 */
const writeLater = (socket: NodeSocket): void => {
  if (written.length === 0) nextTick(writeAll)
  written.push(socket)
  if (isFlushedAtExit) return
  isFlushedAtExit = true
  // What was accepted goes out, too, when the program ends right after.
  process.on("exit", writeAll)
}

const writeAll = (): void => {
  const sockets = written
  written = []
  for (const socket of sockets) socket.endTurn()
}

const text = { binary: false }
const binary = { binary: true }

/** A short text, as a ping, is cheaper as bytes: header and payload become one write. A long one would be copied once more. */
const shortText = 1024

/** A long message is a burst of its own: it is written at once, behind what waits. */
const longMessage = 16_384

export class NodeSocket implements TransportSocket {
  readonly protocol: string
  private readonly isCompressed: boolean
  /** `close` was called before a close frame of the server had come. */
  private isClosedByUs = false
  private isDestroyed = false
  /** Of a socket that is being destroyed, `ws` still reads what had arrived. */
  private isDeaf = false
  private hasEnded = false
  private isGone = false
  /** A short text that is written at the end of the turn. For one alone a cork would cost more than the write. */
  private waiting: Buffer | undefined = undefined
  private isCorked = false
  /** One for all messages, since Node handles a row of equal callbacks together. */
  private flushed: ((error?: Error | null) => void) | undefined

  /** A pong has not been flushed yet. */
  private isPonging = false
  /** The latest ping that came meanwhile. One answer is enough for all of them (RFC 6455, section 5.5.3). */
  private unanswered: Buffer | undefined = undefined

  private heard = 0
  /** What the system had taken, and what waited, when that was last looked at; and how much of such has left since. */
  private taken = 0
  private backlog = 0
  private drained = 0

  constructor(
    private readonly ws: OwnedWebSocket,
    private readonly raw: RawSocket,
    private readonly events: SocketEvents
  ) {
    this.protocol = ws.protocol
    this.isCompressed = ws.extensions !== ""
    ws.owner = this
  }

  get isOpen(): boolean {
    return this.ws.readyState === WebSocket.OPEN
  }

  get bufferedAmount(): number {
    return this.ws.bufferedAmount + (this.waiting === undefined ? 0 : this.waiting.byteLength)
  }

  /**
   * What was heard counts too, for the sake of a stream that counts no bytes. Of what was written only counts what had
   * to wait: the system takes bytes for a dead line as well, as long as its own buffer has room for them.
   */
  get progress(): number {
    const { read, taken, waiting } = trafficOf(this.raw)
    this.drained += Math.min(Math.max(taken - this.taken, 0), this.backlog)
    this.taken = taken
    this.backlog = waiting
    return this.heard + read + this.drained
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
      writeLater(this)
    } else {
      this.cork()
      this.write(bytes, text)
    }
    return bytes.byteLength
  }

  private write(data: Message, options: { readonly binary: boolean }): void {
    if (!this.isOpen) return
    this.flushed ??= (error) => this.onFlushed(error)
    try {
      this.ws.send(data, options, this.flushed)
    } catch {
      this.destroy()
    }
  }

  private onFlushed(error: Error | null | undefined): void {
    // Node calls what waits on a destroyed socket written.
    if (!error && !this.isDestroyed && !this.isGone) this.events.onFlush()
  }

  private cork(): void {
    if (this.isCorked) return
    this.isCorked = true
    this.raw.cork?.()
    if (this.waiting === undefined) writeLater(this)
    else this.writeWaiting()
  }

  private writeWaiting(): void {
    const { waiting } = this
    if (waiting === undefined) return
    this.waiting = undefined
    this.write(waiting, text)
  }

  endTurn(): void {
    this.writeWaiting()
    if (!this.isCorked) return
    this.isCorked = false
    try {
      this.raw.uncork?.()
    } catch {
      // A stream that an agent has brought: its fault is no other socket's.
      this.destroy()
    }
  }

  ping(payload: string): void {
    this.writeWaiting()
    if (!this.isOpen) return
    try {
      this.ws.ping(Buffer.from(payload))
    } catch {
      this.destroy()
    }
  }

  pause(): void {
    this.ws.pause()
  }

  resume(): void {
    this.ws.resume()
  }

  close(code: number, reason: string): void {
    this.writeWaiting()
    if (!this.isOpen) return
    this.isClosedByUs = true
    try {
      this.ws.close(code, reason)
    } catch {
      this.destroy()
    }
  }

  destroy(): void {
    this.isDestroyed = true
    this.waiting = undefined
    this.isDeaf = true
    this.ws.terminate()
  }

  received(data: Buffer, isBinary: boolean): void {
    if (this.isDeaf) return
    this.heard += 1
    this.events.onMessage(isBinary ? unshared(data) : data.toString(), data.byteLength)
  }

  /**
   * However many pings come and however little the server reads, one pong is being written, and at most one more waits
   * for that. The bytes are copied, since they are a view of all that came with them.
   */
  pinged(payload: Buffer): void {
    if (this.isDeaf) return
    this.heard += 1
    if (this.isPonging) this.unanswered = Buffer.from(payload)
    else this.pong(payload)
  }

  private pong(payload: Buffer): void {
    if (!this.isOpen) return
    this.isPonging = true
    try {
      this.ws.pong(payload, true, (error) => this.onPongFlushed(error))
    } catch {
      this.destroy()
    }
  }

  private onPongFlushed(error: Error | null | undefined): void {
    const { unanswered } = this
    this.isPonging = false
    this.unanswered = undefined
    if (unanswered !== undefined) this.pong(unanswered)
    // A send may wait for no more than the room that the pong took.
    this.onFlushed(error)
  }

  ponged(payload: Buffer): void {
    if (this.isDeaf) return
    this.heard += 1
    this.events.onPong(payload.toString())
  }

  /** After the handshake, `ws` complains only of what the server sends. It goes on to close, in its own time. */
  violated({ code }: NodeJS.ErrnoException): void {
    this.isDeaf = true
    this.end({ code: violationCode(String(code)), reason: "", initiator: "Local" })
  }

  closed(code: number, reason: Buffer): void {
    // 1006 cannot be received: it stands for no close frame.
    const isLocal = this.isClosedByUs || (this.isDestroyed && code === 1006)
    this.end({ code, reason: reason.toString(), initiator: isLocal ? "Local" : "Remote" })
    this.isGone = true
    this.events.onGone()
  }

  private end(info: CloseInfo): void {
    if (this.hasEnded) return
    this.hasEnded = true
    this.events.onEnd(info)
  }
}

/** A `Buffer` is often a view of a larger piece of memory, which other messages share. */
const unshared = (data: Buffer): Uint8Array =>
  data.byteLength > 0 && data.byteLength === data.buffer.byteLength ? new Uint8Array(data.buffer) : new Uint8Array(data)

const violationCode = (errorCode: string): number => {
  switch (errorCode) {
    case "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH":
    case "WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH":
      return 1009
    case "WS_ERR_TOO_MANY_BUFFERED_PARTS":
      return 1008
    case "WS_ERR_INVALID_UTF8":
      return 1007
    default:
      return errorCode.startsWith("Z_") ? 1007 : 1002
  }
}
