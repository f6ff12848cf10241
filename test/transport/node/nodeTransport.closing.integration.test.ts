import type { CloseInfo } from "effect-websocket-pool/WebSocketTransport"
import type { WebSocket } from "ws"
import * as Effect from "#effect/Effect"
import { assert, describe, it } from "#support/vitest"
import { frame } from "../../fixtures/servers.js"
import { ownFrames } from "../../support/ownFrames.js"
import { closeCode, ended, type Options, pair, rawPair, reading, turns, until } from "./support.js"

describe(`NodeWebSocketTransport, ${ownFrames ? "own frames" : "frames of ws"}`, () => {
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
})
