/**
 * Reads what a server sends behind the handshake: takes whole data frames out, and leaves everything else to `ws`, which
 * stays the judge of the protocol. Pure: bytes go in, messages and bytes for `ws` come out, each within the call.
 *
 * | state     | what it has                                     | what ends it, and what follows |
 * |-----------|--------------------------------------------------|--------------------------------|
 * | `Header`  | nothing, or the first bytes of a header: kept    | a header: `Payload` if the frame is ours, `Passing` if it is for `ws`, `Over` otherwise |
 * | `Payload` | a frame of ours, cut: kept                       | its last byte: `Header`, once delivered; `Over`, if it is text and no UTF-8 |
 * | `Passing` | a frame for `ws`, of which `rest` bytes are missing | its last byte: `Header` |
 * | `Over`    | nothing                                          | nothing: every byte is for `ws` |
 *
 * A frame is **ours** if it is a whole, unmasked text or binary message without reserved bits and within `maxPayload`, and
 * if nothing comes before it that `ws` has not reported yet: no message in fragments is unfinished, `ws` owes no event,
 * and the stream between us and `ws` is not held.
 *
 * A frame is for **`ws`** if it is a ping, a pong, a fragment in its place, or a whole message that is not ours only for what
 * comes before it. At its end `ws` owes an event, unless it is a fragment that is not the last.
 *
 * Anything else, a close frame or a violation, is the last that is read here. `ws` never reports a message that turns out
 * to be a violation, so it owes that event for ever, and no frame behind it is ours either.
 */
import { isUtf8 } from "node:buffer"

type State = "Header" | "Payload" | "Passing" | "Over"

/** Where what was read goes. */
export interface FrameSink {
  readonly onText: (text: string, bytes: number) => void
  /** The message shares its memory with nothing. */
  readonly onBinary: (data: Uint8Array) => void
  /** Bytes for `ws`, which may keep them. It reports what they complete within the call, unless its stream is held. */
  readonly onPassed: (bytes: Buffer) => void
}

const final = 0x80
const text = 1
const binary = 2
const control = 8
const ping = 9
const pong = 10

const longestControl = 125

/** A message that is announced, and not here yet, gets no more memory than this, or `growth` times what has come. */
const firstPiece = 65_536
const growth = 4

/** Pieces that were too short, for the next message: such garbage, far from the heap, makes collections frequent. */
const spare = new Map<number, Buffer>()
const longestSpare = firstPiece * growth

const takePiece = (length: number): Buffer => {
  const piece = spare.get(length)
  if (piece === undefined) return Buffer.allocUnsafeSlow(length)
  spare.delete(length)
  return piece
}

const keepPiece = (piece: Buffer): void => {
  if (piece.length === firstPiece || piece.length === longestSpare) spare.set(piece.length, piece)
}

const replacement = "\ufffd"

export class FrameReader {
  private state: State = "Header"
  /** The first bytes of a header. */
  private cut: Buffer | undefined = undefined

  /** In `Payload`: the frame's header, and of its payload what has come. */
  private header: Buffer | undefined = undefined
  private piece: Buffer | undefined = undefined
  private received = 0
  private announced = 0

  /** In `Passing`. */
  private rest = 0
  /** Whether `ws` reports something at the end of the frame. */
  private isReported = false

  /** A message in fragments has begun, and its last one has not. */
  private isFragmented = false
  /** Messages, pings and pongs that `ws` has been given and has not reported. */
  private owed = 0

  constructor(
    private readonly maxPayload: number,
    private readonly sink: FrameSink
  ) {}

  /** `ws` has reported a message, a ping or a pong. */
  reported(): void {
    this.owed -= 1
  }

  /**
   * Takes bytes that are only valid during the call. The stream between here and `ws` is held if it keeps what it is
   * given for later, since it is paused.
   */
  read(bytes: Buffer, from: number, to: number, isHeld: boolean): void {
    const { cut } = this
    if (cut === undefined) this.scan(bytes, from, to, isHeld)
    else {
      this.cut = undefined
      const joined = Buffer.concat([cut, bytes.subarray(from, to)])
      this.scan(joined, 0, joined.length, isHeld)
    }
  }

  private scan(bytes: Buffer, from: number, to: number, isHeld: boolean): void {
    let at = this.state === "Payload" ? this.fill(bytes, from, to, isHeld) : from
    /** What lies between this and `at` is for `ws`. */
    let passed = at
    while (at < to && this.state !== "Over") {
      if (this.state === "Passing") {
        const taken = Math.min(this.rest, to - at)
        this.rest -= taken
        at += taken
        if (this.rest === 0) this.endPassing()
        continue
      }

      if (to - at < 2) break
      const first = bytes[at]!
      const second = bytes[at + 1]!
      const start = at + (second === 127 ? 10 : second === 126 ? 4 : 2)
      if (start > to) {
        // `ws` complains of the first two bytes without waiting for the rest.
        if (!this.isAllowed(first, second)) this.state = "Over"
        break
      }
      const length =
        second === 127
          ? bytes.readUInt32BE(at + 2) * 0x1_0000_0000 + bytes.readUInt32BE(at + 6)
          : second === 126
            ? (bytes[at + 2]! << 8) | bytes[at + 3]!
            : second

      const isWhole = first === (final | text) || first === (final | binary)
      if (isWhole && !this.isFragmented && second < 128 && length <= this.maxPayload) {
        if (passed < at) {
          this.pass(bytes, passed, at)
          passed = at
        }
        if (this.owed === 0 && !isHeld) {
          const end = start + length
          if (end > to) {
            this.begin(bytes, at, start, to, length)
            return
          }
          if (this.deliver(bytes, start, end, first === (final | text))) passed = at = end
          else this.state = "Over"
          continue
        }
      }
      const isTooLong = length > this.maxPayload && (first & control) === 0
      if (isTooLong || !this.isAllowed(first, second)) {
        this.state = "Over"
        break
      }
      this.beginPassing(first, length)
      at = start
      if (length === 0) this.endPassing()
    }
    if (this.state === "Over") at = to
    if (passed < at) this.pass(bytes, passed, at)
    if (at < to) this.cut = Buffer.from(bytes.subarray(at, to))
  }

  /** Whether a frame that begins like this may come now, and is not the last. */
  private isAllowed(first: number, second: number): boolean {
    // Masked.
    if (second > 127) return false
    if (first === (final | ping) || first === (final | pong)) return second <= longestControl
    const opcode = first & ~final
    return this.isFragmented ? opcode === 0 : opcode === text || opcode === binary
  }

  private beginPassing(first: number, length: number): void {
    this.state = "Passing"
    this.rest = length
    if ((first & control) === 0) this.isFragmented = first < final
    this.isReported = first >= final
  }

  private endPassing(): void {
    this.state = "Header"
    if (this.isReported) this.owed += 1
  }

  private pass(bytes: Buffer, from: number, to: number): void {
    this.sink.onPassed(Buffer.from(bytes.subarray(from, to)))
  }

  private begin(bytes: Buffer, at: number, start: number, to: number, length: number): void {
    this.state = "Payload"
    this.header = Buffer.from(bytes.subarray(at, start))
    this.announced = length
    this.piece = takePiece(Math.min(length, Math.max(firstPiece, to - start)))
    this.received = bytes.copy(this.piece, 0, start, to)
  }

  /** Takes what belongs to the frame that was cut, and returns where that ends. */
  private fill(bytes: Buffer, from: number, to: number, isHeld: boolean): number {
    const { announced, received } = this
    const header = this.header!
    let piece = this.piece!
    const end = Math.min(to, from + announced - received)
    const filled = received + end - from
    if (filled > piece.length) {
      const longer = takePiece(Math.min(announced, Math.max(filled, growth * piece.length)))
      piece.copy(longer, 0, 0, received)
      keepPiece(piece)
      this.piece = piece = longer
    }
    bytes.copy(piece, received, from, end)
    this.received = filled
    if (filled < announced) return end

    this.header = this.piece = undefined
    this.state = "Header"
    if (isHeld) {
      this.owed += 1
      this.sink.onPassed(Buffer.concat([header, piece]))
    } else if (header[0] === (final | binary)) {
      this.sink.onBinary(new Uint8Array(piece.buffer))
    } else if (!this.deliver(piece, 0, announced, true)) {
      this.state = "Over"
      this.sink.onPassed(Buffer.concat([header, piece]))
    }
    return end
  }

  /** Returns whether the message is one: text that is no UTF-8 is `ws`'s to complain of. */
  private deliver(bytes: Buffer, start: number, end: number, isText: boolean): boolean {
    if (!isText) {
      this.sink.onBinary(new Uint8Array(bytes.subarray(start, end)))
      return true
    }
    const decoded = bytes.toString(undefined, start, end)
    // What is no UTF-8 shows as this character, which may also have been sent.
    if (decoded.includes(replacement) && !isUtf8(bytes.subarray(start, end))) return false
    this.sink.onText(decoded, end - start)
    return true
  }
}
