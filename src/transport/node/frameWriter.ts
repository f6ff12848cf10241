import type { Socket } from "node:net"
import type { Message } from "../../values/message.js"
import { generateKey, makeSlab, mask, type Slab } from "./mask.js"
import { atEndOfTurn } from "./turn.js"
import { longMessage, type Writer, type WriterHost } from "./writer.js"

const text = 0x81
const binary = 0x82
const masked = 0x80

/** The longest header: two bytes, eight of length, four of the key. */
const longestHeader = 14

const size = 65_536

// Short messages become frames in one slab, which all sockets share: those of one socket, side by side, are one write.

let slab: Slab | undefined
let used = 0
/** How many sockets have frames in the slab that are not written yet. */
let holders = 0
/** Node may still read from the slab. */
let isLent = false

/** Long messages go through these, piece by piece, each masked while it is in the cache. */
const spare: Array<Slab> = []
const mostSpare = 16

const key = new Uint8Array(4)
const encoder = new TextEncoder()

/** Writes the header in front of a payload that begins at `offset`, and returns where the header begins. */
const writeHeader = (bytes: Buffer, offset: number, first: number, length: number): number => {
  generateKey(key)
  for (let i = 0; i < 4; i++) bytes[offset - 4 + i] = key[i]!
  const start = offset - headerOf(length)
  bytes[start] = first
  if (length > 65_535) {
    bytes[start + 1] = masked | 127
    bytes.writeUInt32BE(Math.floor(length / 0x1_0000_0000), start + 2)
    bytes.writeUInt32BE(length >>> 0, start + 6)
  } else if (length > 125) {
    bytes[start + 1] = masked | 126
    bytes[start + 2] = length >> 8
    bytes[start + 3] = length & 0xff
  } else bytes[start + 1] = masked | length
  return start
}

const headerOf = (length: number): number => (length > 65_535 ? longestHeader : length > 125 ? 8 : 6)

/** Makes the frames by itself and writes them to the socket, next to what `ws` writes there. */
export class FrameWriter implements Writer {
  /** Where the frames are that are written at the end of the turn. */
  private held: Slab | undefined = undefined
  private from = 0
  private to = 0
  private isCorked = false
  private isWaiting = false

  constructor(
    private readonly raw: Socket,
    private readonly host: WriterHost
  ) {}

  get pending(): number {
    return this.to - this.from
  }

  send(message: Message): number {
    if (message.length > longMessage) return this.sendLong(message)
    if (!this.host.isOpen) return typeof message === "string" ? Buffer.byteLength(message) : message.byteLength

    // A character takes up to three bytes for each of its units.
    const room = longestHeader + (typeof message === "string" ? 3 * message.length : message.byteLength)
    if (this.held !== undefined && (this.held !== slab || this.to !== used || used + room > size)) this.writeApart()
    if (slab === undefined || used + room > size) {
      slab = makeSlab(size)
      used = holders = 0
      isLent = false
    }
    if (this.held === undefined) {
      this.held = slab
      this.from = this.to = used
      holders += 1
    }
    if (!this.isWaiting) {
      this.isWaiting = true
      atEndOfTurn(this)
    }

    const { bytes } = slab
    let offset = used + headerOf(message.length)
    let length = message.length
    if (typeof message === "string") {
      length = bytes.write(message, offset)
      const shift = headerOf(length) - headerOf(message.length)
      if (shift > 0) bytes.copyWithin(offset + shift, offset, offset + length)
      offset += shift
    } else bytes.set(message, offset)
    writeHeader(bytes, offset, typeof message === "string" ? text : binary, length)
    this.to = used = offset + length
    mask(slab, offset, used, key, 0)
    return length
  }

  /** Another socket's frames, or the end of the slab, lie behind those kept back: what follows is another piece of the same write. */
  private writeApart(): void {
    if (!this.isCorked) {
      this.isCorked = true
      this.raw.cork()
    }
    this.flush()
  }

  flush(): void {
    const { held, from, to } = this
    if (held === undefined) return
    const { isOpen, onFlushed } = this.host
    if (isOpen) this.raw.write(held.bytes.subarray(from, to), onFlushed)
    this.forget(this.raw.writableLength > 0)
  }

  /** The slab begins anew once nobody needs anything in it. */
  private forget(isInUse: boolean): void {
    if (this.held === slab) {
      isLent ||= isInUse
      holders -= 1
      if (holders === 0 && !isLent) used = 0
    }
    this.held = undefined
    this.from = this.to = 0
  }

  endTurn(): void {
    this.isWaiting = false
    this.flush()
    if (!this.isCorked) return
    this.isCorked = false
    this.raw.uncork()
  }

  drop(): void {
    if (this.held !== undefined) this.forget(false)
  }

  private sendLong(message: Message): number {
    this.endTurn()
    const isText = typeof message === "string"
    const length = isText ? Buffer.byteLength(message) : message.byteLength
    if (!this.host.isOpen) return length

    let rest = message
    for (let done = 0; done < length; ) {
      const piece = spare.pop() ?? makeSlab(size)
      const { bytes } = piece
      const offset = done === 0 ? headerOf(length) : 0
      if (done === 0) writeHeader(bytes, offset, isText ? text : binary, length)
      let count: number
      if (typeof rest === "string") {
        const { read, written } = encoder.encodeInto(rest, bytes.subarray(offset))
        rest = rest.slice(read)
        count = written
      } else {
        count = Math.min(length - done, size - offset)
        bytes.set(rest.subarray(done, done + count), offset)
      }
      mask(piece, offset, offset + count, key, done)
      done += count
      this.writePiece(piece, offset + count)
    }
    return length
  }

  /** Each piece has its callback, so that a slow line shows its progress. Until then Node may still read from it. */
  private writePiece(piece: Slab, end: number): void {
    let isInUse = true
    const { onFlushed } = this.host
    this.raw.write(piece.bytes.subarray(0, end), (error) => {
      if (isInUse && !error && !this.raw.destroyed) keep(piece)
      onFlushed(error)
    })
    if (this.raw.writableLength > 0) return
    isInUse = false
    keep(piece)
  }
}

const keep = (piece: Slab): void => {
  if (spare.length < mostSpare) spare.push(piece)
}
