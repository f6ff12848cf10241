import { isIP, connect as netConnect, type Socket, type TcpNetConnectOpts } from "node:net"
import type { ConnectionOptions, TLSSocket } from "node:tls"
import { FrameReader, type FrameSink } from "./frameReader.js"

export type LineOptions = TcpNetConnectOpts & ConnectionOptions

/** `tls.connect`, perhaps with a session to resume. */
export type ConnectSecurely = (options: ConnectionOptions) => TLSSocket

/** All sockets are read into it, one after the other: what it holds is used up, or copied, before the next read. */
let shared: Buffer | undefined

const endOfHead = "\r\n\r\n"

const lines = new WeakMap<object, Line>()

/** The line of a socket that was opened as one. */
export const lineOf = (socket: object): Line | undefined => lines.get(socket)

/**
 * A socket whose bytes come here first, not to its stream. The handshake, and what `FrameReader` leaves to `ws`, is pushed
 * to the stream, on which `ws` goes on as if nothing had happened.
 */
export class Line {
  readonly socket: Socket
  private reader: FrameReader | undefined = undefined
  /** Nobody takes frames out: all that comes is for the stream. */
  private isLeft = false
  /** How much of the blank line that ends a response has come. */
  private matched = 0
  /** Whether the stream takes more. */
  private takesMore = true

  constructor(options: LineOptions, connectSecurely: ConnectSecurely | undefined) {
    shared ??= Buffer.allocUnsafeSlow(65_536)
    const onread = {
      buffer: shared,
      callback: (length: number, bytes: Uint8Array) => this.onRead(bytes as Buffer, length)
    }
    Object.assign(options, { onread })
    this.socket = connectSecurely === undefined ? netConnect(options) : connectSecurely(options)
    lines.set(this.socket, this)
  }

  private onRead(bytes: Buffer, length: number): boolean {
    this.takesMore = true
    let at = 0
    // Frames that come in one piece with the response must not reach the stream before anybody can take them out.
    while (this.reader === undefined && at < length) {
      const end = this.isLeft ? length : this.afterHead(bytes, at, length)
      this.push(Buffer.from(bytes.subarray(at, end)))
      at = end
    }
    if (at < length) this.reader!.read(bytes, at, length, this.socket.isPaused())
    return this.takesMore
  }

  /** Where the head of a response ends, or else the bytes do. */
  private afterHead(bytes: Buffer, from: number, to: number): number {
    for (let at = from; at < to; at++) {
      const byte = bytes[at]
      if (byte === endOfHead.charCodeAt(this.matched)) this.matched += 1
      else this.matched = byte === endOfHead.charCodeAt(0) ? 1 : 0
      if (this.matched === endOfHead.length) {
        this.matched = 0
        return at + 1
      }
    }
    return to
  }

  push(bytes: Buffer): void {
    this.takesMore = this.socket.push(bytes)
  }

  /** From now on frames are taken out. That is too late if the stream has some already. */
  takeOut(maxPayload: number, sink: FrameSink): FrameReader | undefined {
    if (this.socket.readableLength > 0) {
      this.leave()
      return undefined
    }
    this.reader = new FrameReader(maxPayload, sink)
    return this.reader
  }

  leave(): void {
    this.isLeft = true
  }
}

/**
 * Opens a socket as `ws` does it, one of which frames can be taken out if it is to be a line. The options have many keys, and
 * are of this socket alone: they are completed and not copied.
 */
export const open = (options: LineOptions, connectSecurely: ConnectSecurely | undefined, isLine: boolean): Socket => {
  const { host = "", servername = isIP(host) === 0 ? host : "" } = options
  Object.assign(options, { path: undefined, servername })
  if (isLine) return new Line(options, connectSecurely).socket
  return connectSecurely === undefined ? netConnect(options) : connectSecurely(options)
}
