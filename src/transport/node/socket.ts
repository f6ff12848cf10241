import { WebSocket } from "ws"
import type { Message } from "../../values/message.js"
import type { CloseInfo, SocketEvents, TransportSocket } from "../seam.js"
import type { FrameReader, FrameSink } from "./frameReader.js"
import { FrameWriter } from "./frameWriter.js"
import { type Line, lineOf } from "./line.js"
import { StreamWriter } from "./streamWriter.js"
import { type RawSocket, trafficOf } from "./traffic.js"
import type { Writer, WriterHost } from "./writer.js"

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

export class NodeSocket implements TransportSocket, FrameSink, WriterHost {
  readonly protocol: string
  /** What takes frames out before they reach `ws`, if anything does. */
  private readonly line: Line | undefined
  private readonly reader: FrameReader | undefined
  private readonly writer: Writer
  /** `close` was called before a close frame of the server had come. */
  private isClosedByUs = false
  private isDestroyed = false
  /** Of a socket that is being destroyed, `ws` still reads what had arrived. */
  private isDeaf = false
  private hasEnded = false
  private isGone = false

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
    private readonly events: SocketEvents,
    maxPayload: number
  ) {
    this.protocol = ws.protocol
    const line = lineOf(raw)
    // An extension changes what is in the frames.
    if (ws.extensions === "") this.reader = line?.takeOut(maxPayload, this)
    else line?.leave()
    this.line = this.reader === undefined ? undefined : line
    this.writer = this.line === undefined ? new StreamWriter(ws, raw, this) : new FrameWriter(this.line.socket, this)
    ws.owner = this
  }

  get isOpen(): boolean {
    return this.ws.readyState === WebSocket.OPEN
  }

  get bufferedAmount(): number {
    return this.ws.bufferedAmount + this.writer.pending
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
    return this.writer.send(message)
  }

  readonly onFlushed = (error?: Error | null): void => {
    // Node calls what waits on a destroyed socket written.
    if (!error && !this.isDestroyed && !this.isGone) this.events.onFlush()
  }

  ping(payload: string): void {
    this.writer.flush()
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
    this.writer.flush()
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
    this.writer.drop()
    this.isDeaf = true
    this.ws.terminate()
  }

  received(data: Buffer, isBinary: boolean): void {
    this.reader?.reported()
    if (isBinary) this.onBinary(unshared(data))
    else this.onText(data.toString(), data.byteLength)
  }

  onText(text: string, bytes: number): void {
    if (this.isDeaf) return
    this.heard += 1
    this.events.onMessage(text, bytes)
  }

  onBinary(data: Uint8Array): void {
    if (this.isDeaf) return
    this.heard += 1
    this.events.onMessage(data, data.byteLength)
  }

  onPassed(bytes: Buffer): void {
    this.line!.push(bytes)
  }

  /**
   * However many pings come and however little the server reads, one pong is being written, and at most one more waits
   * for that. The bytes are copied, since they are a view of all that came with them.
   */
  pinged(payload: Buffer): void {
    this.reader?.reported()
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
    this.reader?.reported()
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
