import type { Socket } from "node:net"
import * as Deferred from "#effect/Deferred"
import * as Effect from "#effect/Effect"
import { assert, describe, it } from "#support/vitest"
import {
  acceptance,
  frame,
  httpAnswer,
  tcpServer,
  tls,
  tlsServer,
  upgraded,
  wssServer
} from "../../fixtures/servers.js"
import { ownFrames } from "../../support/ownFrames.js"
import { connect, ended, local, pair, rawPair, reading, sha1, turns, until } from "./support.js"

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
})
