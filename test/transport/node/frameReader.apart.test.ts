/** `FrameReader` next to the Receiver of `ws`, which is the judge: whatever comes, and however it is cut, both say the same. */
import type { EventEmitter } from "node:events"
import * as fc from "fast-check"
import * as ws from "ws"
import { assert, describe, it } from "#support/vitest"
import { FrameReader } from "../../../src/transport/node/frameReader.js"
import { frame } from "../../fixtures/servers.js"

interface Receiver extends EventEmitter {
  write(bytes: Buffer): boolean
}

/** `ws` exports it, and its types do not say so. */
const { Receiver } = ws as unknown as {
  readonly Receiver: new (options: { readonly maxPayload: number; readonly maxFragments: number }) => Receiver
}

const maxFragments = 5

/** What was said, in its order. */
type Said = readonly [event: string, payload: string]

/** The Receiver of `ws`, and how `ws` listens to it: after a close frame or a violation it hears no more. */
class Judge {
  readonly said: Array<Said> = []
  /** What the Receiver alone has said. */
  events = 0
  onReport = () => {}
  private readonly receiver: Receiver
  private isOver = false

  constructor(maxPayload: number) {
    this.receiver = new Receiver({ maxPayload, maxFragments })
    this.receiver.on("message", (data: Buffer, isBinary: boolean) => {
      this.report(isBinary ? ["binary", data.toString("hex")] : ["text", data.toString()])
    })
    this.receiver.on("ping", (data: Buffer) => this.report(["ping", data.toString("hex")]))
    this.receiver.on("pong", (data: Buffer) => this.report(["pong", data.toString("hex")]))
    this.receiver.on("conclude", (code: number, reason: Buffer) => {
      this.isOver = true
      this.said.push(["close", `${code} ${reason.toString()}`])
    })
    this.receiver.on("error", (error: NodeJS.ErrnoException) => {
      this.isOver = true
      this.said.push(["error", String(error.code)])
    })
  }

  private report(said: Said): void {
    this.events += 1
    this.onReport()
    this.said.push(said)
  }

  write(bytes: Buffer): void {
    if (!this.isOver) this.receiver.write(bytes)
  }
}

/** The Receiver tells of a violation a tick later. */
const tick = () => new Promise<void>((resolve) => setImmediate(resolve))

interface Chunk {
  readonly bytes: Buffer
  /** The stream is paused while the chunk comes, and lets go of all that it has before the next one. */
  readonly isHeld: boolean
  /** The event loop turns before the next one. */
  readonly isLast: boolean
}

const chunk = (bytes: Buffer, isHeld = false, isLast = false): Chunk => ({ bytes, isHeld, isLast })

/** What was said, and how much of it after each turn of the event loop. */
interface Heard {
  readonly said: ReadonlyArray<Said>
  readonly counts: ReadonlyArray<number>
}

const heardBy = async (chunks: ReadonlyArray<Chunk>, maxPayload: number): Promise<Heard> => {
  const judge = new Judge(maxPayload)
  const counts: Array<number> = []
  for (const { bytes, isLast } of chunks) {
    judge.write(bytes)
    if (!isLast) continue
    await tick()
    counts.push(judge.said.length)
  }
  await tick()
  return { said: judge.said, counts }
}

/** All chunks come in the same piece of memory, as those of a socket do. */
const heardThrough = async (chunks: ReadonlyArray<Chunk>, maxPayload: number) => {
  const judge = new Judge(maxPayload)
  const shared = Buffer.alloc(Math.max(...chunks.map(({ bytes }) => bytes.length), 1))
  let stream: Array<Buffer> = []
  let isHeld = false
  const counts: Array<number> = []
  const reader: FrameReader = new FrameReader(maxPayload, {
    onText: (text, bytes) => {
      assert.isFalse(isHeld)
      assert.strictEqual(Buffer.byteLength(text), bytes)
      judge.said.push(["text", text])
    },
    onBinary: (data) => {
      assert.isFalse(isHeld)
      assert.strictEqual(Object.getPrototypeOf(data), Uint8Array.prototype)
      assert.strictEqual(data.byteLength, data.buffer.byteLength)
      judge.said.push(["binary", Buffer.from(data).toString("hex")])
    },
    onPassed: (bytes) => {
      assert.isAbove(bytes.length, 0)
      if (isHeld) stream.push(bytes)
      else judge.write(bytes)
    }
  })
  judge.onReport = () => reader.reported()
  for (const one of chunks) {
    shared.fill(0xee)
    one.bytes.copy(shared)
    isHeld = one.isHeld
    reader.read(shared, 0, one.bytes.length, isHeld)
    isHeld = false
    for (const bytes of stream) judge.write(bytes)
    stream = []
    if (!one.isLast) continue
    await tick()
    counts.push(judge.said.length)
  }
  await tick()
  return { heard: { said: judge.said, counts } satisfies Heard, byJudge: judge.events }
}

const cutAt = (bytes: Buffer, cuts: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const ends = [...new Set([...cuts, bytes.length])].filter((end) => end <= bytes.length).sort((a, b) => a - b)
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end))
}

/** Whole, cut in every single place, and byte by byte; each at once, and with time in between. */
const everyCut = (bytes: Buffer): ReadonlyArray<ReadonlyArray<Buffer>> => [
  [bytes],
  ...Array.from(bytes, (_, at) => cutAt(bytes, [at])),
  Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
]

const maxPayload = 200

const agreeOn = async (bytes: Buffer) => {
  await Promise.all(
    everyCut(bytes).flatMap((pieces) =>
      [false, true].map(async (isLast) => {
        const chunks = pieces.map((piece) => chunk(piece, false, isLast))
        const { heard } = await heardThrough(chunks, maxPayload)
        assert.deepStrictEqual(heard, await heardBy(chunks, maxPayload))
      })
    )
  )
  return (await heardBy([chunk(bytes)], maxPayload)).said
}

// What a server may send, and what it may not

const payload = fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes))
const characters = fc.string({ unit: "binary", maxLength: 6 }).map((text) => Buffer.from(text))
/** Any of them may be no UTF-8, or have the character in it that shows for what is none. */
const textPayload = fc.oneof(characters, payload, fc.constant(Buffer.from("\ufffd")))

/** The length as it should be written, or in more bytes than it takes. */
const encoded = (first: number, data: Buffer, form: number): Buffer => {
  if (form === 0) return frame(first, data)
  const header = Buffer.alloc(form === 1 ? 4 : 10)
  header[0] = first
  header[1] = form === 1 ? 126 : 127
  if (form === 1) header.writeUInt16BE(data.length, 2)
  else header.writeUInt32BE(data.length, 6)
  return Buffer.concat([header, data])
}

const form = fc.integer({ min: 0, max: 2 })
const whole = fc.oneof(
  fc.tuple(fc.constant(0x81), textPayload, form).map(([first, data, form]) => encoded(first, data, form)),
  fc.tuple(fc.constant(0x82), payload, form).map(([first, data, form]) => encoded(first, data, form))
)
const medium = fc.integer({ min: 100, max: maxPayload }).map((length) => frame(0x82, Buffer.alloc(length, length)))
const controlFrame = fc.tuple(fc.constantFrom(0x89, 0x8a), payload).map(([first, data]) => frame(first, data))

const inFragments = fc
  .tuple(
    fc.constantFrom(0x01, 0x02),
    fc.array(fc.tuple(characters, fc.option(controlFrame)), { minLength: 1, maxLength: maxFragments + 1 })
  )
  .map(([opcode, parts]) =>
    Buffer.concat(
      parts.flatMap(([data, between], i) => {
        const isLast = i === parts.length - 1
        const fragment = frame((i === 0 ? opcode : 0) | (isLast ? 0x80 : 0), data)
        return between !== null && !isLast ? [fragment, between] : [fragment]
      })
    )
  )

const valid = fc.oneof(
  { arbitrary: whole, weight: 5 },
  { arbitrary: controlFrame, weight: 2 },
  { arbitrary: inFragments, weight: 2 },
  { arbitrary: medium, weight: 1 }
)

const violation = fc.oneof(
  // Any first two bytes: masks, reserved bits and opcodes, fragments of nothing, control frames that are too long.
  fc.tuple(fc.nat(255), fc.nat(255), payload).map(([a, b, data]) => Buffer.concat([Buffer.from([a, b]), data])),
  fc.integer({ min: maxPayload + 1, max: maxPayload + 9 }).map((length) => frame(0x81, Buffer.alloc(length, "x"))),
  fc.constant(Buffer.from([0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 1])),
  fc.constant(Buffer.from([0x82, 127, 0, 0, 0, 1, 0, 0, 0, 1])),
  fc.tuple(fc.constantFrom(1000, 1001, 1006, 4000, 999), textPayload).map(([code, reason]) => {
    return frame(0x88, Buffer.concat([Buffer.from([code >> 8, code & 255]), reason]))
  }),
  fc.constant(frame(0x88)),
  payload
)

const stream = fc
  .tuple(fc.array(valid, { maxLength: 6 }), fc.option(violation), fc.array(valid, { maxLength: 2 }))
  .map(([before, wrong, after]) => Buffer.concat([...before, ...(wrong === null ? [] : [wrong, ...after])]))

const chunksOf = stream.chain((bytes) =>
  fc
    .array(fc.record({ at: fc.nat(bytes.length), isHeld: fc.boolean(), isLast: fc.boolean() }), { maxLength: 8 })
    .map((cuts) =>
      cutAt(
        bytes,
        cuts.map(({ at }) => at)
      ).map((piece, i) => chunk(piece, cuts[i]?.isHeld, cuts[i]?.isLast))
    )
)

describe("FrameReader", () => {
  it("says what the Receiver of ws says of any stream, in every cut", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(stream, async (bytes) => void (await agreeOn(bytes))),
      { seed: 455, numRuns: 60 }
    )
  })

  it("says it in any cut, while the stream is held now and then", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(chunksOf, async (chunks) => {
        const { heard } = await heardThrough(chunks, maxPayload)
        assert.deepStrictEqual(heard, await heardBy(chunks, maxPayload))
      }),
      { seed: 6455, numRuns: 5_000 }
    )
  })

  // As in the test suite of Autobahn.
  const bytes = (...values: ReadonlyArray<number>) => Buffer.from(values)
  const hello = Buffer.from("Hello-µ@ßöäüàá-UTF-8!!")
  const euro = Buffer.from("€")
  for (const [name, given, expected] of [
    ["an empty text", [frame(0x81)], ["text"]],
    ["an empty binary message", [frame(0x82)], ["binary"]],
    ["a text of 125 bytes", [frame(0x81, "*".repeat(125))], ["text"]],
    ["a text of 126 bytes", [frame(0x81, "*".repeat(126))], ["text"]],
    ["a binary message of 127 bytes", [frame(0x82, "*".repeat(127))], ["binary"]],
    ["a message as long as maxPayload", [frame(0x82, Buffer.alloc(maxPayload))], ["binary"]],
    ["a message longer than maxPayload", [frame(0x82, Buffer.alloc(maxPayload + 1)), frame(0x81, "x")], ["error"]],
    ["ten pings", Array.from({ length: 10 }, () => frame(0x89, "payload")), Array.from({ length: 10 }, () => "ping")],
    ["a ping of 125 bytes", [frame(0x89, Buffer.alloc(125, 0xfe))], ["ping"]],
    ["a ping of 126 bytes", [frame(0x89, Buffer.alloc(126, 0xfe)), frame(0x81, "x")], ["error"]],
    ["a pong that nobody asked for", [frame(0x8a, "x"), frame(0x89)], ["pong", "ping"]],
    ["a reserved bit, behind a text", [frame(0x81, "a"), frame(0xc1, "b"), frame(0x89)], ["text", "error"]],
    ["a reserved opcode, behind a text", [frame(0x81, "a"), frame(0x83, "b"), frame(0x81, "c")], ["text", "error"]],
    ["a reserved control opcode", [frame(0x8b), frame(0x81, "c")], ["error"]],
    ["a ping in fragments", [frame(0x09, "a"), frame(0x80, "b")], ["error"]],
    ["a message in fragments", [frame(0x01, "a"), frame(0x00, "b"), frame(0x80, "c")], ["text"]],
    ["a ping between fragments", [frame(0x01, "a"), frame(0x89, "p"), frame(0x80, "b")], ["ping", "text"]],
    ["a text behind a message in fragments", [frame(0x01, "a"), frame(0x80, "b"), frame(0x81, "c")], ["text", "text"]],
    ["a continuation of nothing", [frame(0x80, "a"), frame(0x81, "b")], ["error"]],
    ["a text between fragments", [frame(0x01, "a"), frame(0x81, "b"), frame(0x80, "c")], ["error"]],
    ["a masked frame", [bytes(0x81, 0x81, 1, 2, 3, 4, 0x79), frame(0x81, "x")], ["error"]],
    ["text with the replacement character", [frame(0x81, "\ufffd")], ["text"]],
    ["text that is cut in a character", [frame(0x81, euro.subarray(0, 2)), frame(0x81, "x")], ["error"]],
    ["text with a surrogate", [frame(0x81, bytes(0xed, 0xa0, 0x80)), frame(0x82, "x")], ["error"]],
    ["text beyond the last character", [frame(0x81, bytes(0xf4, 0x90, 0x80, 0x80)), frame(0x82, "x")], ["error"]],
    ["text with an overlong form", [frame(0x81, bytes(0xc0, 0xaf)), frame(0x82, "x")], ["error"]],
    ["characters cut by fragments", [frame(0x01, euro.subarray(0, 1)), frame(0x80, euro.subarray(1))], ["text"]],
    ["text in fragments that is none", [frame(0x01, hello), frame(0x80, bytes(0xff)), frame(0x81, "x")], ["error"]],
    ["more fragments than allowed", [frame(0x01), ...Array(5).fill(frame(0)), frame(0x80), frame(0x81)], ["error"]],
    ["fragments above maxPayload", [frame(1, "x".repeat(150)), frame(0x80, "x".repeat(51)), frame(0x81)], ["error"]],
    ["a close frame, and more behind it", [frame(0x88, bytes(3, 232)), frame(0x81, "x"), frame(0x89)], ["close"]],
    ["a close frame of one byte", [frame(0x88, bytes(3)), frame(0x81, "x")], ["error"]],
    ["a close frame with a reserved code", [frame(0x88, bytes(3, 238)), frame(0x81, "x")], ["error"]],
    ["a close reason that is no UTF-8", [frame(0x88, bytes(3, 232, 0xff)), frame(0x81, "x")], ["error"]],
    ["a length beyond all numbers", [bytes(0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255), frame(0x81)], ["error"]],
    ["a length in more bytes than it takes", [encoded(0x81, hello, 1), encoded(0x82, hello, 2)], ["text", "binary"]]
  ] as const) {
    it(`agrees with ws on ${name}, in every cut`, async () => {
      const said = await agreeOn(Buffer.concat([...given]))
      assert.deepStrictEqual(
        said.map(([event]) => event),
        [...expected]
      )
    })
  }

  it("takes whole messages out, and leaves only the others to ws", async () => {
    const { byJudge, heard } = await heardThrough(
      [frame(0x81, "a"), frame(0x82, "b"), frame(0x89, "c"), frame(0x81, "d"), frame(0x01, "e"), frame(0x80, "f")].map(
        (bytes) => chunk(bytes)
      ),
      maxPayload
    )
    assert.strictEqual(byJudge, 2)
    assert.strictEqual(heard.said.length, 5)
    // Behind a message in fragments they are taken out again.
    const again = await heardThrough([chunk(Buffer.concat([frame(0x01), frame(0x80), frame(0x82)]))], maxPayload)
    assert.strictEqual(again.byJudge, 1)
    assert.strictEqual(again.heard.said.length, 2)
  })

  it("reads a burst of tiny frames without recursion", async () => {
    const tiny = Buffer.concat(Array.from({ length: 100_000 }, (_, i) => frame(i % 3 === 0 ? 0x89 : 0x81)))
    const { heard } = await heardThrough([chunk(tiny.subarray(0, 65_537)), chunk(tiny.subarray(65_537))], maxPayload)
    assert.strictEqual(heard.said.length, 100_000)
  })

  it("takes memory for a long message as it comes, not as it is announced", () => {
    const messages: Array<Uint8Array> = []
    const reader = new FrameReader(2 ** 31 - 1, {
      onText: () => assert.fail("a text"),
      onBinary: (data) => void messages.push(data),
      onPassed: () => assert.fail("bytes for ws")
    })
    const length = 10 * 1024 * 1024
    const bytes = encoded(0x82, Buffer.alloc(length, 7), 2)
    const before = process.memoryUsage().arrayBuffers
    const taken = () => process.memoryUsage().arrayBuffers - before
    reader.read(bytes, 0, 100, false)
    assert.isBelow(taken(), 128 * 1024)
    reader.read(bytes, 100, 1_000_000, false)
    assert.isBelow(taken(), 3 * 1_000_000)
    let at = 1_000_000
    for (; at < bytes.length; at += 65_536) reader.read(bytes, at, Math.min(at + 65_536, bytes.length), false)
    assert.strictEqual(messages.length, 1)
    assert.strictEqual(messages[0]!.buffer.byteLength, length)
    assert.isTrue(messages[0]!.every((byte) => byte === 7))
  })
})
