import { createHash } from "node:crypto"
import { Agent } from "node:http"
import { Agent as SecureAgent } from "node:https"
import type { Socket } from "node:net"
import { inspect } from "node:util"
import * as NodeWebSocketTransport from "effect-websocket-pool/NodeWebSocketTransport"
import {
  type CloseInfo,
  type ConnectRequest,
  type Message,
  type SocketEvents,
  type TransportError,
  type TransportSocket,
  WebSocketTransport
} from "effect-websocket-pool/WebSocketTransport"
import type { WebSocket } from "ws"
import * as Cause from "#effect/Cause"
import * as Deferred from "#effect/Deferred"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import type * as Scope from "#effect/Scope"
import { interruptNow, repeated } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import {
  acceptance,
  eitherServer,
  frame,
  httpAnswer,
  type Listening,
  tcpServer,
  tls,
  tlsServer,
  upgraded,
  wsServer,
  wssServer
} from "../../fixtures/servers.js"
import { ownFrames } from "../../support/ownFrames.js"

/** Waits for what is bound to happen; the test's own timeout ends it otherwise. */
const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const timer = setInterval(() => {
      if (condition()) resume(Effect.sync(() => clearInterval(timer)))
    }, 1)
    return Effect.sync(() => clearInterval(timer))
  })

/** Gives everything that is ready to happen a chance. */
const turns = (n = 20): Effect.Effect<void> =>
  repeated(
    Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void))),
    n
  )

interface Heard {
  readonly opened: Array<TransportSocket>
  readonly messages: Array<Message>
  readonly bytes: Array<number>
  readonly pongs: Array<string>
  readonly ends: Array<CloseInfo>
  flushes: number
  gone: number
}

const recorder = (): SocketEvents & { readonly heard: Heard } => {
  const heard: Heard = { opened: [], messages: [], bytes: [], pongs: [], ends: [], flushes: 0, gone: 0 }
  return {
    heard,
    onOpen: (socket) => {
      heard.opened.push(socket)
    },
    onMessage: (message, bytes) => {
      assert.isEmpty(heard.ends)
      heard.messages.push(message)
      heard.bytes.push(bytes)
    },
    onPong: (payload) => {
      assert.isEmpty(heard.ends)
      heard.pongs.push(payload)
    },
    onFlush: () => {
      assert.strictEqual(heard.gone, 0)
      heard.flushes += 1
    },
    onEnd: (info) => {
      assert.strictEqual(heard.gone, 0)
      heard.ends.push(info)
    },
    onGone: () => {
      assert.strictEqual(heard.ends.length, 1)
      heard.gone += 1
    }
  }
}

const request = (overrides: Partial<ConnectRequest>): ConnectRequest => ({
  url: "ws://127.0.0.1:1",
  protocols: [],
  headers: {},
  maxPayload: 16 * 1024 * 1024,
  closeTimeout: 10_000,
  ...overrides
})

type Options = NodeWebSocketTransport.Options

const layerOf = (options?: Options) => NodeWebSocketTransport.layer({ ownFrames, ...options })
const transportOf = () => NodeWebSocketTransport.make({ ownFrames })

const local = ({ port }: Listening, scheme = "ws"): string => `${scheme}://127.0.0.1:${port}/`

const connect = (
  overrides: Partial<ConnectRequest>,
  options?: Options
): Effect.Effect<{ readonly socket: TransportSocket; readonly heard: Heard }, TransportError, Scope.Scope> =>
  Effect.gen(function* () {
    const transport = yield* WebSocketTransport
    const events = recorder()
    const { heard } = events
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        for (const socket of heard.opened) socket.destroy()
        return until(() => heard.gone === heard.opened.length)
      })
    )
    yield* transport.connect(request(overrides), events)
    assert.strictEqual(heard.opened.length, 1)
    return { socket: heard.opened[0]!, heard }
  }).pipe(Effect.provide(layerOf(options)))

const refused = (overrides: Partial<ConnectRequest>, options?: Options): Effect.Effect<TransportError, unknown> =>
  Effect.flip(Effect.scoped(connect(overrides, options)))

/** A `ws` server whose only connection is handed to the test. */
const pair = (
  overrides: Partial<ConnectRequest> = {},
  options?: Options,
  serverOptions?: { perMessageDeflate: boolean }
) =>
  Effect.gen(function* () {
    const accepted = yield* Deferred.make<WebSocket>()
    const server = yield* wsServer((peer) => Deferred.doneUnsafe(accepted, Effect.succeed(peer)), serverOptions)
    const client = yield* connect({ url: local(server), ...overrides }, options)
    return { ...client, server, peer: yield* Deferred.await(accepted) }
  })

/** A server that upgrades and then knows nothing of WebSockets. */
const rawPair = (overrides: Partial<ConnectRequest> = {}, options?: Options, fields?: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const accepted = yield* Deferred.make<Socket>()
    const server = yield* tcpServer(upgraded((raw) => Deferred.doneUnsafe(accepted, Effect.succeed(raw)), fields))
    const client = yield* connect({ url: local(server), ...overrides }, options)
    return { ...client, server, raw: yield* Deferred.await(accepted) }
  })

/** Collects what the raw side reads. */
const reading = (raw: Socket) => {
  const chunks: Array<Buffer> = []
  raw.on("data", (chunk: Buffer) => chunks.push(chunk))
  raw.resume()
  return () => Buffer.concat(chunks)
}

/** The code of a masked close frame. */
const closeCode = (bytes: Buffer): number => {
  assert.strictEqual(bytes[0], 0x88)
  return ((bytes[6]! ^ bytes[2]!) << 8) | (bytes[7]! ^ bytes[3]!)
}

const sha1 = (data: Uint8Array): string => createHash("sha1").update(data).digest("hex")

const ended = (code: number, initiator: CloseInfo["initiator"], reason = ""): CloseInfo => ({ code, reason, initiator })

describe(`NodeWebSocketTransport, ${ownFrames ? "own frames" : "frames of ws"}`, () => {
  describe("messages", () => {
    it.live("go both ways, text as string, binary as plain Uint8Array, empty ones included", () =>
      Effect.gen(function* () {
        const { heard, peer, socket } = yield* pair()
        peer.on("message", (data, isBinary) => peer.send(data, { binary: isBinary }))
        const long = "ü".repeat(100_000)
        const sizes = [
          "grüße",
          "",
          long,
          new Uint8Array([1, 2]),
          new Uint8Array(),
          new Uint8Array(100_000).fill(7)
        ].map((message) => socket.send(message))
        yield* until(() => heard.messages.length === 6)
        assert.deepStrictEqual(sizes, [7, 0, 200_000, 2, 0, 100_000])
        assert.deepStrictEqual(heard.bytes, sizes)
        assert.deepStrictEqual(heard.messages.slice(0, 3), ["grüße", "", long])
        assert.deepStrictEqual(heard.messages.slice(3), [
          new Uint8Array([1, 2]),
          new Uint8Array(),
          new Uint8Array(100_000).fill(7)
        ])
        for (const message of heard.messages.slice(3)) {
          assert.strictEqual(Object.getPrototypeOf(message), Uint8Array.prototype)
        }
      })
    )

    it.live("share no memory, however they were cut into packets and frames", () =>
      Effect.gen(function* () {
        const { heard, raw } = yield* rawPair()
        const payload = new Uint8Array(5_000).fill(1)
        raw.write(Buffer.concat([frame(0x82, "a"), frame(0x82, "b"), frame(0x82), frame(0x82), frame(0x82, payload)]))
        raw.write(Buffer.concat([frame(0x02, "frag"), frame(0x00, "men"), frame(0x80, "ted")]))
        yield* until(() => heard.messages.length === 6)
        // The header in one packet, the payload in exactly another: the case that needs no copy.
        raw.write(frame(0x82, payload).subarray(0, 4))
        yield* turns()
        raw.write(payload)
        yield* until(() => heard.messages.length === 7)
        const messages = heard.messages.filter((message) => typeof message !== "string")
        assert.strictEqual(Buffer.from(messages[5]!).toString(), "fragmented")
        assert.deepStrictEqual(messages[6], payload)
        for (const message of messages) {
          assert.strictEqual(message.byteLength, message.buffer.byteLength)
        }
        assert.strictEqual(new Set(messages.map((message) => message.buffer)).size, 7)
      })
    )

    it.live("that came with the server's handshake are not lost", () =>
      Effect.gen(function* () {
        const server = yield* tcpServer(
          httpAnswer((socket, head) => {
            socket.write(Buffer.concat([Buffer.from(acceptance(head)), frame(0x81, "hello")]))
          })
        )
        const { heard } = yield* connect({ url: local(server) })
        yield* until(() => heard.messages.length === 1)
        assert.deepStrictEqual(heard.messages, ["hello"])
      })
    )

    for (const perMessageDeflate of [false, true]) {
      it.live(
        `may be changed by the caller once send has returned, ${perMessageDeflate ? "compressed" : "uncompressed"}`,
        () =>
          Effect.gen(function* () {
            const { peer, socket } = yield* pair({}, { perMessageDeflate }, { perMessageDeflate })
            const received: Array<string> = []
            peer.on("message", (data: Buffer) => received.push(sha1(data)))
            // More than the line takes at once, so that some are still here when they change.
            peer.pause()
            const sent: Array<string> = []
            for (let i = 0; i < 20; i++) {
              const message = Uint8Array.from({ length: 500_000 }, (_, at) => (at * (i + 1)) >> 3)
              sent.push(sha1(message))
              socket.send(message)
              message.fill(0xff)
            }
            assert.isAbove(socket.bufferedAmount, 0)
            peer.resume()
            yield* until(() => received.length === 20)
            assert.deepStrictEqual(received, sent)
          })
      )
    }

    it.live("are compressed when both sides want it, and only then", () =>
      Effect.gen(function* () {
        for (const [client, server, expected] of [
          [true, true, "permessage-deflate"],
          [{ threshold: 10 }, true, "permessage-deflate"],
          [undefined, true, ""],
          [true, false, ""]
        ] as const) {
          const options = client === undefined ? undefined : { perMessageDeflate: client }
          const { heard, peer, socket } = yield* pair({}, options, { perMessageDeflate: server })
          assert.strictEqual(peer.extensions, expected)
          peer.on("message", (data, isBinary) => peer.send(data, { binary: isBinary }))
          const message = new Uint8Array(50_000).fill(1)
          socket.send(message)
          socket.send("text".repeat(1_000))
          yield* until(() => heard.messages.length === 2)
          assert.deepStrictEqual(heard.messages, [message, "text".repeat(1_000)])
        }
      })
    )
  })

  it.live("negotiates a subprotocol", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair({ protocols: ["a", "b"] })
      assert.strictEqual(socket.protocol, "a")
      assert.strictEqual(peer.protocol, "a")
      assert.strictEqual((yield* pair()).socket.protocol, "")
    })
  )

  it.live("answers pings, and reports the answers to its own", () =>
    Effect.gen(function* () {
      const { heard, peer, socket } = yield* pair()
      const pongs: Array<string> = []
      peer.on("pong", (payload) => pongs.push(payload.toString()))
      peer.ping("from the server")
      socket.ping("17")
      socket.ping("18")
      yield* until(() => pongs.length === 1 && heard.pongs.length === 2)
      assert.deepStrictEqual(pongs, ["from the server"])
      assert.deepStrictEqual(heard.pongs, ["17", "18"])
    })
  )

  describe("pings of the server", () => {
    /** Unmasked payloads of the pongs among client frames, which are all short. */
    const pongsIn = (bytes: Buffer): ReadonlyArray<string> => {
      const pongs: Array<string> = []
      for (let at = 0; at + 6 <= bytes.length; ) {
        const length = bytes[at + 1]! & 0x7f
        const mask = bytes.subarray(at + 2, at + 6)
        const payload = bytes.subarray(at + 6, at + 6 + length).map((byte, i) => byte ^ mask[i % 4]!)
        if (bytes[at] === 0x8a) pongs.push(Buffer.from(payload).toString())
        at += 6 + length
      }
      return pongs
    }

    // `ws` ended the line with the 61st.
    it.live("may come in any number at once: the latest is answered", () =>
      Effect.gen(function* () {
        const { heard, raw, socket } = yield* rawPair()
        const received = reading(raw)
        const pings = Array.from({ length: 1_000 }, (_, i) => frame(0x89, String(i)))
        raw.write(Buffer.concat([...pings, frame(0x81, "done")]))
        yield* until(() => heard.messages.length === 1 && pongsIn(received()).includes("999"))
        assert.isBelow(pongsIn(received()).length, 10)
        assert.isTrue(socket.isOpen)
        // One at a time is answered each time.
        for (const payload of ["a", "", "x".repeat(125)]) {
          raw.write(frame(0x89, payload))
          yield* until(() => pongsIn(received()).at(-1) === payload)
        }
        assert.isEmpty(heard.ends)
      })
    )

    it.live("take no memory while the server reads nothing", () =>
      Effect.gen(function* () {
        const { heard, raw, socket } = yield* rawPair()
        while (socket.bufferedAmount < 8 * 1024 * 1024) {
          socket.send(new Uint8Array(4 * 1024 * 1024))
          yield* turns(1)
        }
        yield* turns()
        const stuck = socket.bufferedAmount
        for (let i = 0; i < 100; i++) {
          raw.write(Buffer.concat(Array.from({ length: 100 }, () => frame(0x89, "x".repeat(125)))))
          yield* turns(1)
        }
        raw.write(frame(0x81, "done"))
        yield* until(() => heard.messages.length === 1)
        // One pong is being written, at most; another waits outside of the buffer.
        assert.isAtMost(socket.bufferedAmount, stuck + 131)
        assert.isTrue(socket.isOpen)
      })
    )

    // Of what waited for a slow reader, all that came after the 61st ping was lost.
    it.live("cost a slow reader no message, and the close comes last", () =>
      Effect.gen(function* () {
        const { heard, peer, socket } = yield* pair()
        socket.pause()
        const chunk = "x".repeat(1_000)
        for (let i = 0; i < 3_000; i++) {
          peer.ping()
          peer.send(`${i} ${chunk}`)
        }
        peer.close(4000, "done")
        yield* turns()
        while (heard.gone === 0) {
          const before = heard.messages.length
          socket.resume()
          yield* until(() => heard.messages.length > before || heard.gone === 1)
          socket.pause()
          yield* turns(1)
          if (!socket.isOpen) socket.resume()
        }
        assert.deepStrictEqual(
          heard.messages.map((message) => Number.parseInt(String(message), 10)),
          Array.from({ length: 3_000 }, (_, i) => i)
        )
        assert.deepStrictEqual(heard.ends, [ended(4000, "Remote", "done")])
      })
    )

    it.live("are not answered once either side has begun to close", () =>
      Effect.gen(function* () {
        const { raw, socket } = yield* rawPair()
        const received = reading(raw)
        socket.close(1000, "")
        raw.write(Buffer.concat([frame(0x89, "late"), frame(0x89, "later")]))
        yield* until(() => received().length >= 8)
        yield* turns()
        assert.deepStrictEqual(pongsIn(received()), [])
        assert.strictEqual(received()[0], 0x88)
      })
    )
  })

  // `ws` took no more than 16,384.
  it.live("takes a message in 131,072 fragments", () =>
    Effect.gen(function* () {
      const { heard, raw, socket } = yield* rawPair()
      raw.write(
        Buffer.concat([
          frame(0x01, "x"),
          ...Array.from({ length: 131_070 }, () => frame(0x00, "x")),
          frame(0x89, "between"),
          frame(0x80, "x")
        ])
      )
      yield* until(() => heard.messages.length === 1)
      assert.strictEqual(heard.messages[0], "x".repeat(131_072))
      assert.isTrue(socket.isOpen)
    })
  )

  describe("the send buffer", () => {
    it.live("is reported as flushed when the server reads on, and not before", () =>
      Effect.gen(function* () {
        const { heard, raw, socket } = yield* rawPair()
        const chunk = new Uint8Array(1024 * 1024)
        while (socket.bufferedAmount < 8 * chunk.length) {
          socket.send(chunk)
          yield* turns(1)
        }
        yield* turns()
        const stuck = socket.bufferedAmount
        const flushes = heard.flushes
        yield* turns()
        assert.strictEqual(socket.bufferedAmount, stuck)
        assert.strictEqual(heard.flushes, flushes)

        raw.on("data", () => {})
        raw.resume()
        yield* until(() => socket.bufferedAmount === 0)
        yield* until(() => heard.flushes > flushes)
      })
    )

    it.live("empties with a report each time that it was not empty after a send, on a secure line too", () =>
      Effect.gen(function* () {
        const server = yield* wssServer(() => {})
        const { heard, socket } = yield* connect({ url: local(server, "wss") }, { ca: tls.ca })
        for (let i = 0; i < 50; i++) {
          const before = heard.flushes
          socket.send(new Uint8Array(i * 1_000))
          if (socket.bufferedAmount > 0) {
            yield* until(() => heard.flushes > before && socket.bufferedAmount === 0)
          }
        }
        assert.isAbove(heard.flushes, 0)
      })
    )
  })

  describe("progress", () => {
    it.live("stands still while nothing moves, also when more is queued", () =>
      Effect.gen(function* () {
        const { raw, socket } = yield* rawPair()
        const idle = socket.progress
        yield* turns()
        assert.strictEqual(socket.progress, idle)

        while (socket.bufferedAmount < 8 * 1024 * 1024) {
          socket.send(new Uint8Array(4 * 1024 * 1024))
          yield* turns(1)
        }
        yield* turns()
        const stuck = socket.progress
        socket.send(new Uint8Array(1024 * 1024))
        socket.ping("1")
        yield* turns()
        assert.strictEqual(socket.progress, stuck)
        raw.destroy()
      })
    )

    for (const secure of [false, true]) {
      it.live(`shows parts of one large chunk that is written${secure ? " on a secure line" : ""}`, () =>
        Effect.gen(function* () {
          const accepted = yield* Deferred.make<Socket>()
          const onSocket = upgraded((raw) => Deferred.doneUnsafe(accepted, Effect.succeed(raw)))
          const server = yield* secure ? tlsServer(onSocket) : tcpServer(onSocket)
          const { heard, socket } = yield* connect({ url: local(server, secure ? "wss" : "ws") }, { ca: tls.ca })
          const raw = yield* Deferred.await(accepted)
          socket.send(new Uint8Array(64 * 1024 * 1024))
          yield* turns(100)
          let seen = socket.progress
          yield* turns()
          assert.strictEqual(socket.progress, seen)

          let bytes = 0
          raw.on("data", (chunk: Buffer) => {
            bytes += chunk.length
          })
          for (const target of [10, 20, 30]) {
            raw.resume()
            yield* until(() => bytes >= target * 1024 * 1024)
            raw.pause()
            // `ws` writes the frame in one piece.
            if (!ownFrames) assert.strictEqual(heard.flushes, 0)
            assert.isAbove(socket.bufferedAmount, 0)
            assert.notStrictEqual(socket.progress, seen)
            seen = socket.progress
          }
        })
      )
    }

    it.live("shows parts of a message that is read", () =>
      Effect.gen(function* () {
        const { heard, raw, socket } = yield* rawPair()
        const bytes = frame(0x82, new Uint8Array(30_000))
        let seen = socket.progress
        for (const at of [0, 10_000, 20_000]) {
          raw.write(bytes.subarray(at, at + 10_000))
          const before = seen
          yield* until(() => {
            seen = socket.progress
            return seen !== before
          })
          assert.isEmpty(heard.messages)
        }
      })
    )
  })

  describe("pause", () => {
    it.live("stops reading until resume, and the server feels it", () =>
      Effect.gen(function* () {
        const { heard, peer, socket } = yield* pair()
        socket.pause()
        peer.send("waits")
        const chunk = new Uint8Array(1024 * 1024)
        while (peer.bufferedAmount < 4 * chunk.length) {
          peer.send(chunk)
          yield* turns(1)
        }
        peer.close(4000, "later")
        yield* turns()
        assert.isEmpty(heard.messages)
        assert.isEmpty(heard.ends)
        assert.isTrue(socket.isOpen)

        socket.resume()
        yield* until(() => heard.gone === 1)
        assert.strictEqual(heard.messages[0], "waits")
        assert.deepStrictEqual(heard.ends, [ended(4000, "Remote", "later")])
      })
    )

    it.live("holds through destroy: what has arrived meanwhile is not delivered", () =>
      Effect.gen(function* () {
        const { heard, raw, socket } = yield* rawPair()
        raw.write(frame(0x81, "seen"))
        yield* until(() => heard.messages.length === 1)
        socket.pause()
        raw.write(frame(0x81, "not seen"))
        yield* turns()
        socket.destroy()
        yield* until(() => heard.gone === 1)
        assert.deepStrictEqual(heard.messages, ["seen"])
      })
    )
  })

  describe("the end", () => {
    const byServer: ReadonlyArray<readonly [string, (peer: WebSocket) => void, CloseInfo]> = [
      ["a close frame with code and reason", (peer) => peer.close(4000, "bye"), ended(4000, "Remote", "bye")],
      ["a close frame without a code", (peer) => peer.close(), ended(1005, "Remote")],
      ["a line that is cut", (peer) => peer.terminate(), ended(1006, "Remote")]
    ]
    for (const [name, act, expected] of byServer) {
      it.live(`of ${name} is the server's`, () =>
        Effect.gen(function* () {
          const { heard, peer, socket } = yield* pair()
          peer.send("last")
          act(peer)
          yield* until(() => heard.gone === 1)
          assert.deepStrictEqual(heard.messages, ["last"])
          assert.deepStrictEqual(heard.ends, [expected])
          assert.isFalse(socket.isOpen)
        })
      )
    }

    it.live("of a line that is reset is the server's, with 1006", () =>
      Effect.gen(function* () {
        const { heard, raw } = yield* rawPair()
        raw.resetAndDestroy()
        yield* until(() => heard.gone === 1)
        assert.deepStrictEqual(heard.ends, [ended(1006, "Remote")])
      })
    )

    it.live("of our close is ours, with the code that the server answers", () =>
      Effect.gen(function* () {
        const { heard, peer, socket } = yield* pair()
        const seen: Array<string> = []
        peer.on("close", (code, reason) => seen.push(`${code} ${reason}`))
        socket.close(4001, "done")
        assert.isFalse(socket.isOpen)
        socket.send("too late")
        socket.ping("too late")
        socket.close(4002, "twice")
        assert.strictEqual(socket.bufferedAmount, 0)
        yield* until(() => heard.gone === 1)
        assert.deepStrictEqual(heard.ends, [ended(4001, "Local", "done")])
        assert.deepStrictEqual(seen, ["4001 done"])
      })
    )

    it.live("of a close that nobody answers is ours, with 1006, after closeTimeout", () =>
      Effect.gen(function* () {
        const { heard, raw, socket } = yield* rawPair({ closeTimeout: 100 })
        const received = reading(raw)
        const start = performance.now()
        socket.close(1000, "")
        yield* until(() => heard.gone === 1)
        assert.isAtLeast(performance.now() - start, 95)
        assert.deepStrictEqual(heard.ends, [ended(1006, "Local")])
        assert.strictEqual(closeCode(received()), 1000)
      })
    )

    it.live("of a server that sends a close frame and keeps the line is the server's, after closeTimeout", () =>
      Effect.gen(function* () {
        const { heard, raw, socket } = yield* rawPair({ closeTimeout: 100 })
        raw.allowHalfOpen = true // it never ends its side
        raw.resume()
        const start = performance.now()
        raw.write(frame(0x88, Buffer.from([0x0f, 0xa0])))
        yield* until(() => !socket.isOpen)
        yield* until(() => heard.gone === 1)
        assert.isAtLeast(performance.now() - start, 95)
        assert.deepStrictEqual(heard.ends, [ended(4000, "Remote")])
      })
    )

    it.live("of destroy is ours, with 1006, and does not wait for the server", () =>
      Effect.gen(function* () {
        const { heard, server, socket } = yield* rawPair()
        socket.send(new Uint8Array(64 * 1024 * 1024))
        socket.destroy()
        assert.isFalse(socket.isOpen)
        socket.destroy()
        socket.send("no")
        socket.ping("no")
        socket.pause()
        socket.resume()
        socket.close(1000, "")
        yield* until(() => heard.gone === 1)
        yield* turns()
        assert.deepStrictEqual(heard.ends, [ended(1006, "Local")])
        assert.strictEqual(heard.gone, 1)
        assert.strictEqual(heard.flushes, 0)
        for (const raw of server.sockets) raw.resume()
        yield* until(() => server.sockets.size === 0)
      })
    )

    it.live("of destroy after the server's close frame is the server's", () =>
      Effect.gen(function* () {
        const { heard, raw, socket } = yield* rawPair()
        raw.write(frame(0x88, Buffer.concat([Buffer.from([0x0f, 0xa0]), Buffer.from("bye")])))
        yield* until(() => !socket.isOpen)
        socket.destroy()
        yield* until(() => heard.gone === 1)
        assert.deepStrictEqual(heard.ends, [ended(4000, "Remote", "bye")])
      })
    )

    const deflate = ["Sec-WebSocket-Extensions: permessage-deflate"]
    const violations: ReadonlyArray<
      readonly [string, number, () => Buffer, Options | undefined, ReadonlyArray<string> | undefined]
    > = [
      ["a message above maxPayload", 1009, () => frame(0x82, new Uint8Array(1_001)), undefined, undefined],
      [
        "fragments that are too large together",
        1009,
        () => Buffer.concat([frame(0x02, new Uint8Array(600)), frame(0x80, new Uint8Array(600))]),
        undefined,
        undefined
      ],
      [
        "an absurd payload length",
        1009,
        () => Buffer.from([0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]),
        undefined,
        undefined
      ],
      ["text that is not UTF-8", 1007, () => frame(0x81, new Uint8Array([0xff, 0xfe])), undefined, undefined],
      [
        "a close reason that is not UTF-8",
        1007,
        () => frame(0x88, new Uint8Array([0x03, 0xe8, 0xff])),
        undefined,
        undefined
      ],
      ["reserved bits", 1002, () => frame(0xa1, "x"), undefined, undefined],
      ["an unknown opcode", 1002, () => frame(0x83, "x"), undefined, undefined],
      ["a masked frame", 1002, () => Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x78]), undefined, undefined],
      ["an invalid close code", 1002, () => frame(0x88, new Uint8Array([0, 1])), undefined, undefined],
      [
        "a message in too many fragments",
        1008,
        () => Buffer.concat([frame(0x01), ...Array.from({ length: 131_072 }, () => frame(0x00))]),
        undefined,
        undefined
      ],
      [
        "a compressed message that is not",
        1007,
        () => frame(0xc1, new Uint8Array([0xff, 0xff, 0xff])),
        { perMessageDeflate: true },
        deflate
      ]
    ]
    for (const [name, code, bytes, options, fields] of violations) {
      it.live(`of ${name} is ours, with ${code}, before the line is closed`, () =>
        Effect.gen(function* () {
          const { heard, raw, socket } = yield* rawPair({ maxPayload: 1_000 }, options, fields)
          const received = reading(raw)
          raw.allowHalfOpen = true // the line stays until the test ends it
          raw.write(frame(0x81, "fine"))
          raw.write(bytes())
          raw.write(frame(0x81, "never seen"))
          yield* until(() => heard.ends.length === 1)
          assert.strictEqual(heard.gone, 0)
          assert.isFalse(socket.isOpen)
          assert.deepStrictEqual(heard.ends, [ended(code, "Local")])
          yield* until(() => received().length >= 8)
          assert.strictEqual(closeCode(received()), code)
          raw.end()
          yield* until(() => heard.gone === 1)
          assert.deepStrictEqual(heard.messages, ["fine"])
          assert.deepStrictEqual(heard.ends, [ended(code, "Local")])
        })
      )
    }

    it.live("of a small message that inflates above maxPayload is ours, with 1009", () =>
      Effect.gen(function* () {
        const { heard, peer } = yield* pair(
          { maxPayload: 1_000 },
          { perMessageDeflate: true },
          { perMessageDeflate: true }
        )
        peer.send(new Uint8Array(100_000))
        yield* until(() => heard.gone === 1)
        assert.deepStrictEqual(heard.ends, [ended(1009, "Local")])
      })
    )
  })

  describe("a secure line", () => {
    it.live("is made with a trusted authority, by name and by address", () =>
      Effect.gen(function* () {
        const server = yield* wssServer((peer) => peer.send("hello"))
        for (const host of ["localhost", "127.0.0.1"]) {
          const { heard } = yield* connect({ url: `wss://${host}:${server.port}` }, { ca: tls.ca })
          yield* until(() => heard.messages.length === 1)
        }
      })
    )

    it.live("is made without trust when rejectUnauthorized is false", () =>
      Effect.gen(function* () {
        const server = yield* wssServer(() => {})
        const { socket } = yield* connect({ url: local(server, "wss") }, { rejectUnauthorized: false })
        assert.isTrue(socket.isOpen)
      })
    )

    it.live("shows the client's certificate", () =>
      Effect.gen(function* () {
        const server = yield* wssServer(() => {}, { ca: tls.ca, requestCert: true, rejectUnauthorized: true })
        const url = local(server, "wss")
        const { socket } = yield* connect({ url }, { ca: tls.ca, cert: tls.cert, key: tls.key })
        assert.isTrue(socket.isOpen)
        assert.strictEqual((yield* refused({ url }, { ca: tls.ca })).reason, "Tls")
      })
    )

    it.live("is left to an agent's own certificates", () =>
      Effect.gen(function* () {
        const server = yield* wssServer(() => {})
        const agent = new SecureAgent({ ca: tls.ca })
        const { socket } = yield* connect({ url: local(server, "wss") }, { agent })
        assert.isTrue(socket.isOpen)
      })
    )

    const failures: ReadonlyArray<readonly [string, Options]> = [
      ["a certificate of an unknown authority", {}],
      ["a certificate of another authority", { ca: tls.otherCa }],
      ["a certificate for another name", { ca: tls.ca, servername: "other.test" }],
      ["no common version of TLS", { ca: tls.ca, minVersion: "TLSv1.3" }],
      ["no common cipher", { ca: tls.ca, ciphers: "ECDHE-ECDSA-CHACHA20-POLY1305", maxVersion: "TLSv1.2" }],
      ["a key that is none", { ca: tls.ca, cert: tls.cert, key: "no key" }],
      ["a PKCS #12 file that is none", { ca: tls.ca, pfx: "no pfx" }],
      ["checkServerIdentity that refuses", { ca: tls.ca, checkServerIdentity: () => new Error("no") }],
      [
        "checkServerIdentity that throws",
        {
          ca: tls.ca,
          checkServerIdentity: () => {
            throw new Error("no")
          }
        }
      ]
    ]
    for (const [name, options] of failures) {
      it.live(`fails with "Tls" for ${name}`, () =>
        Effect.gen(function* () {
          const server = yield* wssServer(() => {}, {
            maxVersion: "TLSv1.2",
            ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256"
          })
          const error = yield* refused({ url: `wss://localhost:${server.port}` }, options)
          assert.strictEqual(error.reason, "Tls", inspect(error.cause))
          assert.isUndefined(error.status)
          yield* until(() => server.sockets.size === 0)
        })
      )
    }

    it.live(`fails with "Tls" at a server that speaks plain HTTP`, () =>
      Effect.gen(function* () {
        const server = yield* wsServer(() => {})
        assert.strictEqual((yield* refused({ url: local(server, "wss") }, { ca: tls.ca })).reason, "Tls")
      })
    )

    it.live(`fails with "Network" when it is cut while it is made`, () =>
      Effect.gen(function* () {
        const server = yield* tcpServer((socket) => socket.once("data", () => socket.destroy()))
        assert.strictEqual((yield* refused({ url: local(server, "wss") })).reason, "Network")
      })
    )
  })

  describe("a failed handshake", () => {
    for (const status of [401, 404, 429, 503, 200, 302]) {
      it.live(`is "Handshake" with status ${status}, and does not wait for the body`, () =>
        Effect.gen(function* () {
          const server = yield* tcpServer(
            httpAnswer((socket) => {
              socket.write(
                `HTTP/1.1 ${status} No\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 1000000\r\n\r\nendless`
              )
            })
          )
          const error = yield* refused({ url: local(server) })
          assert.strictEqual(error.reason, "Handshake")
          assert.strictEqual(error.status, status)
          yield* until(() => server.sockets.size === 0)
        })
      )
    }

    const retries: ReadonlyArray<readonly [number, string | undefined, number | undefined]> = [
      [503, "7", 7_000],
      [429, "0", 0],
      [408, "120", 120_000],
      [425, " 3 ", 3_000],
      [503, undefined, undefined],
      [503, "-1", undefined],
      [503, "1.5", undefined],
      [503, "soon", undefined],
      [503, "Thu, 01 Jan 1970 00:00:00 GMT", undefined],
      [401, "7", undefined],
      [500, "7", undefined]
    ]
    for (const [status, field, expected] of retries) {
      it.live(`with ${status} and Retry-After ${field} tells to wait ${expected} ms`, () =>
        Effect.gen(function* () {
          const retryAfter = field === undefined ? "" : `Retry-After: ${field}\r\n`
          const server = yield* tcpServer(
            httpAnswer((socket) => socket.end(`HTTP/1.1 ${status} No\r\n${retryAfter}Content-Length: 0\r\n\r\n`))
          )
          const error = yield* refused({ url: local(server) })
          assert.strictEqual(error.status, status)
          assert.strictEqual(error.retryAfter && Duration.toMillis(error.retryAfter), expected)
        })
      )
    }

    it.live("does not repeat the status, nor what the server says of it", () =>
      Effect.gen(function* () {
        const server = yield* tcpServer(
          httpAnswer((socket) => socket.end("HTTP/1.1 401 secret-phrase\r\nContent-Length: 0\r\n\r\n"))
        )
        const { cause } = yield* refused({ url: local(server) })
        assert.strictEqual((cause as Error).message, "Unauthorized")
      })
    )

    const mismatches: ReadonlyArray<readonly [string, string, RegExp]> = [
      ["wss: at a plain port", "wss", /the server does not speak TLS on this port: use ws:$/],
      ["ws: at a TLS port that hangs up", "ws", /if the server speaks TLS on this port, use wss:$/]
    ]
    for (const [name, scheme, expected] of mismatches) {
      it.live(`says what to look at for ${name}, on one line`, () =>
        Effect.gen(function* () {
          const server = yield* scheme === "wss" ? wsServer(() => {}) : wssServer(() => {})
          const { message } = (yield* refused({ url: local(server, scheme) }, { ca: tls.ca })).cause as Error
          assert.match(message, expected)
          assert.notMatch(message, /[\r\n]/)
        })
      )
    }

    it.live("says what to look at for ws: at a TLS port that sends an alert", () =>
      Effect.gen(function* () {
        const alert = Buffer.from([0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x0a])
        const server = yield* tcpServer(httpAnswer((socket) => socket.end(alert)))
        const { message } = (yield* refused({ url: local(server) })).cause as Error
        assert.match(message, /the server speaks TLS on this port: use wss:$/)
      })
    )

    const answers: ReadonlyArray<readonly [string, TransportError["reason"], (socket: Socket, head: string) => void]> =
      [
        ["a line that is closed before the status line", "Network", (socket) => socket.end()],
        ["a line that is reset before the status line", "Network", (socket) => socket.resetAndDestroy()],
        ["a line that is closed within the status line", "Network", (socket) => socket.end("HTTP/1.1 10")],
        ["what is no HTTP", "Handshake", (socket) => socket.end("SSH-2.0-OpenSSH_9.6\r\n")],
        ["a malformed header", "Handshake", (socket) => socket.end("HTTP/1.1 101 OK\r\nno colon\r\n\r\n")],
        [
          "endless headers",
          "Handshake",
          (socket) => socket.write(`HTTP/1.1 101 OK\r\n${"X-Filler: 1234567890\r\n".repeat(5_000)}`)
        ],
        [
          "a wrong Sec-WebSocket-Accept",
          "Handshake",
          (socket, head) => socket.write(acceptance(head).replace(/Accept: .*/, "Accept: wrong"))
        ],
        [
          "a wrong Upgrade",
          "Handshake",
          (socket, head) => socket.write(acceptance(head).replace("Upgrade: websocket", "Upgrade: h2c"))
        ],
        [
          "a subprotocol that was not offered",
          "Handshake",
          (socket, head) => socket.write(acceptance(head, ["Sec-WebSocket-Protocol: other"]))
        ],
        [
          "an extension that was not offered",
          "Handshake",
          (socket, head) => socket.write(acceptance(head, ["Sec-WebSocket-Extensions: permessage-deflate"]))
        ]
      ]
    for (const [name, reason, answer] of answers) {
      it.live(`is "${reason}" for ${name}`, () =>
        Effect.gen(function* () {
          const server = yield* tcpServer(httpAnswer(answer))
          const error = yield* refused({ url: local(server) })
          assert.strictEqual(error.reason, reason, inspect(error.cause))
          assert.isUndefined(error.status)
          yield* until(() => server.sockets.size === 0)
        })
      )
    }

    it.live(`is "Handshake" when a subprotocol was offered and none chosen`, () =>
      Effect.gen(function* () {
        const server = yield* tcpServer(httpAnswer((socket, head) => socket.write(acceptance(head))))
        assert.strictEqual((yield* refused({ url: local(server), protocols: ["a"] })).reason, "Handshake")
      })
    )

    it.live(`is "Network" where nobody listens, by address and by several addresses of a name`, () =>
      Effect.gen(function* () {
        const { port } = yield* Effect.scoped(tcpServer(() => {}))
        const direct = yield* refused({ url: `ws://127.0.0.1:${port}` })
        assert.strictEqual(direct.reason, "Network")
        assert.include(inspect(direct.cause), `connect ECONNREFUSED 127.0.0.1:${port}`)

        const lookup: Options["lookup"] = (_, __, callback) =>
          callback(null, [
            { address: "127.0.0.1", family: 4 },
            { address: "127.0.0.2", family: 4 }
          ])
        const several = yield* refused({ url: `ws://many.test:${port}` }, { lookup })
        assert.strictEqual(several.reason, "Network")
        assert.include(inspect(several.cause), `127.0.0.2:${port}`)
      })
    )

    it.live(`is "Network" for an unknown host`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* refused({ url: "ws://nowhere.invalid" })).reason, "Network")
      })
    )

    const setups: ReadonlyArray<readonly [string, Partial<ConnectRequest>, Options | undefined]> = [
      ["a URL that is none", { url: "ws://" }, undefined],
      ["a URL with a fragment", { url: "ws://127.0.0.1:1/#top" }, undefined],
      ["a URL of another scheme", { url: "ftp://127.0.0.1:1/" }, undefined],
      ["a header value with a line break", { headers: { a: "b\r\nc" } }, undefined],
      ["a header name that is none", { headers: { "a b": "c" } }, undefined],
      ["a subprotocol that is none", { protocols: ["a b"] }, undefined],
      ["a subprotocol twice", { protocols: ["a", "a"] }, undefined],
      ["an agent for another scheme", {}, { agent: new SecureAgent() }]
    ]
    for (const [name, overrides, options] of setups) {
      it.live(`is "Setup" for ${name}`, () =>
        Effect.gen(function* () {
          const error = yield* refused(overrides, options)
          assert.strictEqual(error.reason, "Setup", inspect(error.cause))
        })
      )
    }

    class BrokenAgent extends Agent {
      addRequest(): void {
        throw new Error("broken agent")
      }
    }
    const hooks: ReadonlyArray<readonly [string, Options]> = [
      ["an agent that throws", { agent: new BrokenAgent() }],
      [
        "an agent that makes a broken connection",
        {
          agent: Object.assign(new Agent(), {
            createConnection: () => {
              throw new Error("broken")
            }
          })
        }
      ],
      [
        "a lookup that throws",
        {
          lookup: () => {
            throw new Error("broken lookup")
          }
        }
      ],
      ["a lookup that fails", { lookup: (_, __, callback) => callback(new Error("failed lookup"), "", 0) }],
      ["a lookup that answers nonsense", { lookup: (_, __, callback) => callback(null, "nonsense", 4) }]
    ]
    for (const [name, options] of hooks) {
      it.live(`is "Network" for ${name}`, () =>
        Effect.gen(function* () {
          const error = yield* refused({ url: "ws://host.test:1" }, options)
          assert.strictEqual(error.reason, "Network", inspect(error.cause))
        })
      )
    }
  })

  describe("secrets", () => {
    const secrets = {
      headers: { Authorization: "Bearer hdr-one", "X-Api-Key": "hdr-two", "X-One": "1" },
      userInfo: "us%65r-one:p%61ss-two",
      query: "token=qu%65ry-one&other=query-two"
    }
    const words = [
      "hdr-one",
      "hdr-two",
      "us%65r-one",
      "user-one",
      "p%61ss-two",
      "pass-two",
      "qu%65ry-one",
      "query-one",
      "query-two"
    ]
    const noSecretIn = (error: TransportError): void => {
      const shown = [inspect(error, { depth: 20, showHidden: true }), JSON.stringify(error), String(error)].join("\n")
      for (const word of words) assert.notInclude(shown, word)
      assert.deepStrictEqual(
        Object.getOwnPropertyNames(error.cause)
          .filter((key) => key !== "code")
          .sort(),
        ["message", "name", "stack"]
      )
    }
    const url = (host: string, scheme = "ws") => `${scheme}://${secrets.userInfo}@${host}/path?${secrets.query}`

    it.live("are in no error, whatever fails", () =>
      Effect.gen(function* () {
        const headers = secrets.headers
        const { port } = yield* Effect.scoped(tcpServer(() => {}))
        const network = yield* refused({ url: url(`127.0.0.1:${port}`), headers })
        noSecretIn(network)
        // A header of "1" does not make the address unreadable.
        assert.include(inspect(network.cause), `127.0.0.1:${port}`)

        noSecretIn(yield* refused({ url: url("127.0.0.1:99999"), headers }))
        noSecretIn(yield* refused({ url: `${url("127.0.0.1:1")}#top`, headers }))
        noSecretIn(yield* refused({ url: url("127.0.0.1:1"), headers: { ...headers, bad: "hdr-one\n" } }))
        noSecretIn(yield* refused({ url: url("127.0.0.1:1"), headers, protocols: ["hdr one"] }))

        const echoing = yield* tcpServer(httpAnswer((socket, head) => socket.end(head.repeat(2))))
        noSecretIn(yield* refused({ url: url(`127.0.0.1:${echoing.port}`), headers }))
        const plain = yield* wsServer(() => {})
        noSecretIn(yield* refused({ url: url(`127.0.0.1:${plain.port}`, "wss"), headers }))

        const refusing = yield* tcpServer(
          httpAnswer((socket, head) => socket.end(`HTTP/1.1 403 ${words.join(" ")}\r\n\r\n${head}`))
        )
        noSecretIn(yield* refused({ url: url(`127.0.0.1:${refusing.port}`), headers }))
      })
    )

    it.live("are replaced in what a hook says, raw, decoded and encoded", () =>
      Effect.gen(function* () {
        const basic = Buffer.from("user-one:pass-two").toString("base64")
        const lookup: Options["lookup"] = (_, __, callback) => {
          callback(
            Object.assign(new Error(`no ${words.join(" ")} ${basic} ${url("host")}`), {
              request: secrets,
              code: "EWHY"
            }),
            "",
            0
          )
        }
        const error = yield* refused({ url: url("host.test"), headers: secrets.headers }, { lookup })
        noSecretIn(error)
        assert.notInclude(inspect(error.cause), basic)
        assert.include(inspect(error.cause), "<redacted>")
        assert.include(inspect(error.cause), "EWHY")
      })
    )

    it.live("of a redirect are replaced too", () =>
      Effect.gen(function* () {
        const server = yield* tcpServer(
          httpAnswer((socket) => socket.end("HTTP/1.1 302 Found\r\nLocation: ws://other.test/?token=query-two\r\n\r\n"))
        )
        const lookup: Options["lookup"] = (_, __, callback) => callback(new Error("no query-two"), "", 0)
        const error = yield* refused({ url: local(server) }, { lookup, followRedirects: true })
        assert.strictEqual(error.reason, "Network")
        noSecretIn(error)
      })
    )
  })

  describe("a redirect", () => {
    const redirect = (to: () => string, heads: Array<string> = []) =>
      tcpServer(
        httpAnswer((socket, head) => {
          heads.push(head)
          socket.end(`HTTP/1.1 307 Temporary Redirect\r\nLocation: ${to()}\r\n\r\n`)
        })
      )
    const headers = { Authorization: "Bearer 1", Cookie: "a=b", "X-Api-Key": "key", Host: "virtual.test" }

    it.live("to the same host keeps header fields and user info", () =>
      Effect.gen(function* () {
        const heads: Array<string> = []
        const server = yield* tcpServer(
          httpAnswer((socket, head) => {
            heads.push(head)
            socket.write(
              heads.length < 3
                ? `HTTP/1.1 30${heads.length} Moved\r\nLocation: ${heads.length === 1 ? "/two?x=1" : `http://127.0.0.1:${server.port}/three#top`}\r\n\r\n`
                : acceptance(head)
            )
          })
        )
        const { socket } = yield* connect(
          { url: `ws://user:secret@127.0.0.1:${server.port}/one`, headers: { "X-Api-Key": "key" } },
          { followRedirects: true }
        )
        assert.isTrue(socket.isOpen)
        assert.deepStrictEqual(
          heads.map((head) => head.split(" ")[1]),
          ["/one", "/two?x=1", "/three"]
        )
        for (const head of heads) {
          assert.include(head, "X-Api-Key: key")
          assert.include(head, `Authorization: Basic ${Buffer.from("user:secret").toString("base64")}`)
        }
      })
    )

    it.live("to another host takes nothing along", () =>
      Effect.gen(function* () {
        const heads: Array<string> = []
        const second = yield* tcpServer(
          httpAnswer((socket, head) => {
            heads.push(head)
            socket.write(acceptance(head, ["Sec-WebSocket-Protocol: chat"]))
          })
        )
        const first = yield* redirect(() => `ws://evil:twin@127.0.0.1:${second.port}/there`)
        const { socket } = yield* connect(
          { url: `ws://user:secret@127.0.0.1:${first.port}/`, headers, protocols: ["chat"] },
          { followRedirects: true, origin: "https://app.test" }
        )
        assert.strictEqual(socket.protocol, "chat")
        const fields = heads[0]!
          .split("\r\n")
          .slice(1, -2)
          .map((line) => line.split(":")[0]!.toLowerCase())
        assert.deepStrictEqual(fields.sort(), [
          "connection",
          "host",
          "origin",
          "sec-websocket-key",
          "sec-websocket-protocol",
          "sec-websocket-version",
          "upgrade"
        ])
        assert.include(heads[0], `Host: 127.0.0.1:${second.port}\r\n`)
      })
    )

    it.live("from a secure line to an open one takes nothing along, and nothing comes back", () =>
      Effect.gen(function* () {
        const heads: Array<string> = []
        const server: Listening = yield* eitherServer(
          httpAnswer((socket, head) => {
            heads.push(head)
            const location = `${heads.length === 1 ? "http" : "https"}://127.0.0.1:${server.port}/`
            socket.end(
              heads.length < 3 ? `HTTP/1.1 302 Found\r\nLocation: ${location}\r\n\r\n` : "HTTP/1.1 404 No\r\n\r\n"
            )
          })
        )
        const error = yield* refused(
          { url: `wss://user:secret@127.0.0.1:${server.port}`, headers },
          { ca: tls.ca, followRedirects: true }
        )
        assert.strictEqual(error.status, 404)
        assert.include(heads[0], "X-Api-Key: key")
        for (const head of heads.slice(1)) assert.notMatch(head, /authorization|cookie|x-api-key|virtual/i)
        assert.strictEqual(heads.length, 3)
      })
    )

    it.live("is followed maxRedirects times", () =>
      Effect.gen(function* () {
        const heads: Array<string> = []
        const server: Listening = yield* redirect(() => "/again", heads)
        const error = yield* refused({ url: local(server) }, { followRedirects: true, maxRedirects: 3 })
        assert.strictEqual(error.reason, "Handshake")
        assert.strictEqual(error.status, 307)
        assert.strictEqual(heads.length, 4)
        yield* until(() => server.sockets.size === 0)

        heads.length = 0
        yield* refused({ url: local(server) }, { followRedirects: true })
        assert.strictEqual(heads.length, 11)

        heads.length = 0
        yield* refused({ url: local(server) }, { maxRedirects: 3 })
        assert.strictEqual(heads.length, 1)
      })
    )

    for (const location of ["ws://", "ftp://127.0.0.1/", "ws+unix:/tmp/socket", "file:///etc/passwd"]) {
      it.live(`to ${location} is a failed handshake`, () =>
        Effect.gen(function* () {
          const server = yield* redirect(() => location)
          const error = yield* refused({ url: local(server) }, { followRedirects: true })
          assert.strictEqual(error.reason, "Handshake")
          assert.strictEqual(error.status, 307)
        })
      )
    }
  })

  describe("options", () => {
    const headsOf = (overrides: Partial<ConnectRequest>, options?: Options) =>
      Effect.gen(function* () {
        const heads: Array<string> = []
        const server = yield* tcpServer(
          httpAnswer((socket, head) => {
            heads.push(head)
            socket.write(acceptance(head))
          })
        )
        const client = yield* connect({ url: local(server), ...overrides }, options)
        return { ...client, head: heads[0]! }
      })

    it.live("origin is sent, unless the headers have one", () =>
      Effect.gen(function* () {
        const origin = "https://app.test"
        assert.include((yield* headsOf({}, { origin })).head, "Origin: https://app.test\r\n")
        const { head } = yield* headsOf({ headers: { origin: "https://own.test" } }, { origin })
        assert.include(head, "origin: https://own.test\r\n")
        assert.notInclude(head, "app.test")
      })
    )

    it.live("that are undefined are as ones not given", () =>
      Effect.gen(function* () {
        const nothing = { headers: undefined, followRedirects: undefined, checkServerIdentity: undefined }
        const { head, socket } = yield* headsOf({ headers: { "X-Own": "1" } }, nothing)
        assert.include(head, "X-Own: 1")
        assert.isTrue(socket.isOpen)
      })
    )

    it.live("localAddress, family and lookup shape the connection", () =>
      Effect.gen(function* () {
        const asked: Array<string> = []
        const lookup: Options["lookup"] = (host, { all }, callback) => {
          asked.push(host)
          if (all === true) callback(null, [{ address: "127.0.0.1", family: 4 }])
          else callback(null, "127.0.0.1", 4)
        }
        const remote: Array<string | undefined> = []
        const server = yield* wsServer((_, { socket }) => remote.push(socket.remoteAddress))
        const { heard } = yield* connect(
          { url: `ws://name.test:${server.port}` },
          { localAddress: "127.0.0.3", family: 4, lookup }
        )
        yield* until(() => remote.length === 1)
        assert.deepStrictEqual(remote, ["127.0.0.3"])
        assert.deepStrictEqual(asked, ["name.test"])
        assert.isEmpty(heard.ends)
      })
    )
  })

  describe("an interrupted connect", () => {
    const stages: ReadonlyArray<
      readonly [string, string, (onReached: () => void) => Effect.Effect<Listening, never, Scope.Scope>]
    > = [
      ["the TLS handshake", "wss", (onReached) => tcpServer((socket) => socket.once("data", onReached))],
      ["the upgrade", "ws", (onReached) => tcpServer(httpAnswer(onReached))],
      [
        "the body of a refusal",
        "ws",
        (onReached) =>
          tcpServer(
            httpAnswer((socket) => {
              socket.write("HTTP/1.1 101 Switch")
              onReached()
            })
          )
      ]
    ]
    for (const [name, scheme, serve] of stages) {
      it.live(`leaves nothing behind during ${name}`, () =>
        Effect.gen(function* () {
          const reached = yield* Deferred.make<void>()
          const server = yield* serve(() => Deferred.doneUnsafe(reached, Effect.void))
          const fiber = yield* Effect.forkChild(connect({ url: local(server, scheme) }))
          yield* Deferred.await(reached)
          assert.strictEqual(server.sockets.size, 1)
          yield* Fiber.interrupt(fiber)
          yield* until(() => server.sockets.size === 0)
        })
      )
    }

    it.live("does not wait for a name to be resolved", () =>
      Effect.gen(function* () {
        const asked = yield* Deferred.make<() => void>()
        const server = yield* tcpServer(() => {})
        const lookup: Options["lookup"] = (_, __, callback) => {
          Deferred.doneUnsafe(
            asked,
            Effect.succeed(() => callback(null, [{ address: "127.0.0.1", family: 4 }]))
          )
        }
        const fiber = yield* Effect.forkChild(connect({ url: `ws://name.test:${server.port}` }, { lookup }))
        const answer = yield* Deferred.await(asked)
        yield* Fiber.interrupt(fiber)
        answer()
        yield* turns()
        assert.strictEqual(server.sockets.size, 0)
      })
    )

    it.live("after the opening leaves the socket to the caller, though the fiber could not go on", () =>
      Effect.gen(function* () {
        const server = yield* wsServer(() => {})
        const transport = transportOf()
        const events = recorder()
        const fiber: Fiber.Fiber<void, TransportError> = yield* Effect.forkChild(
          transport.connect(request({ url: local(server) }), {
            ...events,
            onOpen: (socket) => {
              events.onOpen(socket)
              interruptNow(fiber)
            }
          })
        )
        const exit = yield* Fiber.await(fiber)
        assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
        const { gone, opened } = events.heard
        assert.strictEqual(opened.length, 1)
        assert.isTrue(opened[0]!.isOpen)
        assert.strictEqual(gone, 0)
        opened[0]!.destroy()
        yield* until(() => events.heard.gone === 1)
      })
    )

    it.live("leaves nothing behind whenever it comes, or has handed the socket over", () =>
      Effect.gen(function* () {
        const server = yield* wsServer((peer) => peer.send("hello"))
        const transport = transportOf()
        let opened = 0
        for (let steps = 0; steps < 60; steps++) {
          const events = recorder()
          const fiber = yield* Effect.forkChild(transport.connect(request({ url: local(server) }), events))
          yield* turns(steps % 20)
          yield* Fiber.interrupt(fiber)
          const exit = yield* Fiber.await(fiber)
          const { heard } = events
          if (Exit.isSuccess(exit)) assert.strictEqual(heard.opened.length, 1)
          if (heard.opened.length > 0) {
            opened++
            heard.opened[0]!.destroy()
            yield* until(() => heard.gone === 1)
          } else {
            yield* turns()
            assert.isEmpty(heard.messages)
            assert.isEmpty(heard.ends)
          }
        }
        yield* until(() => server.sockets.size === 0)
        assert.isAbove(opened, 0)
        assert.isBelow(opened, 60)
      })
    )

    it.live("lets the caller destroy the socket at once", () =>
      Effect.gen(function* () {
        const server = yield* wsServer((peer) => peer.send("hello"))
        const transport = transportOf()
        const events = recorder()
        yield* transport.connect(request({ url: local(server) }), {
          ...events,
          onOpen: (socket) => {
            events.onOpen(socket)
            socket.destroy()
          }
        })
        yield* until(() => events.heard.gone === 1)
        assert.deepStrictEqual(events.heard.ends, [ended(1006, "Local")])
        assert.isEmpty(events.heard.messages)
        yield* until(() => server.sockets.size === 0)
      })
    )
  })

  it.live("reports nothing inside of the socket's own calls", () =>
    Effect.gen(function* () {
      const server = yield* wsServer((peer) => peer.on("message", (data) => peer.send(data)))
      const transport = transportOf()
      let inside = ""
      const nested: Array<string> = []
      let gone = false
      const note = (event: string) => () => {
        if (inside !== "") nested.push(`${event} in ${inside}`)
        gone ||= event === "onGone"
      }
      const { heard, ...events } = recorder()
      yield* transport.connect(request({ url: local(server) }), {
        ...events,
        onMessage: note("onMessage"),
        onPong: note("onPong"),
        onFlush: note("onFlush"),
        onEnd: note("onEnd"),
        onGone: note("onGone")
      })
      const socket = heard.opened[0]!
      const call = (name: string, f: () => void) =>
        Effect.andThen(
          Effect.sync(() => {
            inside = name
            f()
            inside = ""
          }),
          turns()
        )
      yield* call("send", () => socket.send("a"))
      yield* call("send", () => socket.send(new Uint8Array(1_000_000)))
      yield* call("ping", () => socket.ping("1"))
      yield* call("pause", () => socket.pause())
      yield* call("resume", () => socket.resume())
      yield* call("close", () => socket.close(1000, ""))
      yield* call("destroy", () => socket.destroy())
      yield* until(() => gone)
      assert.deepStrictEqual(nested, [])
    })
  )
})
