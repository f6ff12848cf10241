/** Frames that go around the streams of `ws`: when they do, and that only speed shows it. */
import { createHash } from "node:crypto"
import { Agent } from "node:http"
import { connect as netConnect } from "node:net"
import { NodeWebSocketTransport } from "effect-websocket-pool/node"
import type { CloseInfo, Message, TransportSocket } from "effect-websocket-pool/WebSocketTransport"
import { WebSocket } from "ws"
import * as Effect from "#effect/Effect"
import { assert, describe, it } from "#support/vitest"
import { OwnedWebSocket } from "../../../src/transport/node/socket.js"
import {
  frame,
  httpAnswer,
  type OnConnection,
  tcpServer,
  tls,
  tlsServer,
  upgraded,
  wsServer,
  wssServer
} from "../../fixtures/servers.js"
import { turns, until } from "../../support/faults.js"

const open = (url: string, options?: NodeWebSocketTransport.Options) =>
  Effect.gen(function* () {
    const opened: Array<TransportSocket> = []
    const messages: Array<Message> = []
    const ends: Array<CloseInfo> = []
    const heard = { messages, ends, onMessage: () => {}, isGone: false }
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        for (const socket of opened) socket.destroy()
        return until(() => heard.isGone || opened.length === 0)
      })
    )
    yield* NodeWebSocketTransport.make({ ca: tls.ca, ...options }).connect(
      { url, protocols: [], headers: {}, maxPayload: 16 * 1024 * 1024, closeTimeout: 1_000 },
      {
        onOpen: (socket) => void opened.push(socket),
        onMessage: (message) => {
          messages.push(message)
          heard.onMessage()
        },
        onPong: (payload) => void messages.push(`pong ${payload}`),
        onFlush: () => {},
        onEnd: (info) => void ends.push(info),
        onGone: () => {
          heard.isGone = true
        }
      }
    )
    return { ...heard, heard, socket: opened[0]! }
  })

const echo: OnConnection = (peer) => {
  peer.on("message", (data: Buffer, isBinary) => peer.send(data, { binary: isBinary }))
}

/** How many messages go through `ws` from here on, in either direction. */
const throughWs = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const { emit, send } = { emit: OwnedWebSocket.prototype.emit, send: WebSocket.prototype.send }
      const seen = { sent: 0, received: 0 }
      OwnedWebSocket.prototype.emit = function (event, ...args) {
        if (event === "message") seen.received += 1
        return emit.call(this, event, ...args)
      }
      WebSocket.prototype.send = function (this: OwnedWebSocket, ...args: Parameters<typeof send>) {
        if (this instanceof OwnedWebSocket) seen.sent += 1
        return send.apply(this, args)
      } as typeof send
      const restore = () => {
        OwnedWebSocket.prototype.emit = emit
        WebSocket.prototype.send = send
      }
      return { seen, restore }
    }),
    ({ restore }) => Effect.sync(restore)
  ),
  ({ seen }) => seen
)

const tunnel = tcpServer(
  httpAnswer((near, head) => {
    near.pause()
    const far = netConnect({ port: Number(/^CONNECT \S*:(\d+) /.exec(head)?.[1]), host: "127.0.0.1" }, () => {
      near.write("HTTP/1.1 200 OK\r\n\r\n")
      near.pipe(far).pipe(near)
    })
    far.on("error", () => near.destroy())
    near.on("close", () => far.destroy())
  })
)

const twoAddresses: NodeWebSocketTransport.Options["lookup"] = (_, __, callback) =>
  callback(null, [
    { address: "127.0.0.1", family: 4 },
    { address: "127.0.0.2", family: 4 }
  ])

describe("whole messages go around ws", () => {
  for (const [name, scheme, host, options, isOwn] of [
    ["by address", "ws", "127.0.0.1", undefined, true],
    ["by name", "ws", "localhost", undefined, true],
    ["by a name with several addresses", "ws", "localhost", { lookup: twoAddresses }, true],
    ["on a secure line by address", "wss", "127.0.0.1", undefined, true],
    ["on a secure line by a name with several addresses", "wss", "localhost", { lookup: twoAddresses }, true],
    ["unless ownFrames is false", "ws", "127.0.0.1", { ownFrames: false }, false],
    ["unless ownFrames is false, by name", "wss", "localhost", { ownFrames: false }, false],
    ["unless there is an agent", "ws", "127.0.0.1", "agent", false],
    ["unless there is a proxy", "ws", "127.0.0.1", "proxy", false],
    ["unless they are compressed", "ws", "127.0.0.1", { perMessageDeflate: true }, false]
  ] as const) {
    it.live(name, () =>
      Effect.gen(function* () {
        const server = yield* scheme === "ws" ? wsServer(echo, { perMessageDeflate: true }) : wssServer(echo)
        const given =
          options === "agent"
            ? { agent: new Agent() }
            : options === "proxy"
              ? { proxy: `http://127.0.0.1:${(yield* tunnel).port}` }
              : options
        const { messages, socket } = yield* open(`${scheme}://${host}:${server.port}/`, given)
        const seen = yield* throughWs
        const long = "long ".repeat(10_000)
        socket.send("short")
        socket.send(long)
        socket.send(new Uint8Array([1, 2, 3]))
        yield* until(() => messages.length === 3)
        assert.deepStrictEqual(messages, ["short", long, new Uint8Array([1, 2, 3])])
        assert.deepStrictEqual(seen, isOwn ? { sent: 0, received: 0 } : { sent: 3, received: 3 })
      })
    )
  }
})

const sha1 = (data: Message): string => createHash("sha1").update(data).digest("hex")

describe("own frames", () => {
  const lengths = [0, 1, 3, 124, 125, 126, 127, 128, 16_383, 16_384, 16_385, 65_521, 65_522, 65_523, 65_535]
  const longer = [65_536, 65_537, 131_058, 131_072, 300_001]
  const letters = ["x", "é", "€", "😀", "\ud800", "x€"]

  it.live("are what ws reads, of every length that is written in another way, and in their order", () =>
    Effect.gen(function* () {
      for (const scheme of ["ws", "wss"]) {
        const got: Array<string> = []
        const onConnection: OnConnection = (peer) =>
          peer.on("message", (data: Buffer, isBinary) => got.push(`${isBinary} ${sha1(data)}`))
        const server = yield* scheme === "ws" ? wsServer(onConnection) : wssServer(onConnection)
        const { socket } = yield* open(`${scheme}://127.0.0.1:${server.port}/`)
        const sent: Array<string> = []
        for (const length of [...lengths, ...longer]) {
          const data = new Uint8Array(length).map((_, i) => i * 7 + length)
          sent.push(`true ${sha1(data)}`)
          assert.strictEqual(socket.send(data), length)
          data.fill(0)
          for (const letter of letters) {
            const text = letter.repeat(Math.ceil(length / letter.length))
            sent.push(`false ${sha1(Buffer.from(text))}`)
            assert.strictEqual(socket.send(text), Buffer.byteLength(text))
          }
          // Several in one turn of the event loop, then one alone.
          if (length % 2 === 0) yield* turns(1)
        }
        yield* until(() => got.length === sent.length)
        assert.deepStrictEqual(got, sent)
      }
    })
  )

  it.live(
    "of many sockets do not mix, though they are made in the same memory, also behind readers that have stopped",
    () =>
      Effect.gen(function* () {
        const peers: Array<WebSocket> = []
        const got = new Map<string, Array<string>>()
        const server = yield* wsServer((peer, { url = "" }) => {
          peers.push(peer)
          got.set(url, [])
          peer.on("message", (data: Buffer) => got.get(url)!.push(data.toString()))
        })
        const sockets: Array<TransportSocket> = []
        for (let i = 0; i < 8; i++) sockets.push((yield* open(`ws://127.0.0.1:${server.port}/${i}`)).socket)
        yield* until(() => peers.length === 8)
        for (const peer of peers.slice(4)) peer.pause()
        const sent: Array<Array<string>> = sockets.map(() => [])
        for (let round = 0; round < 300; round++) {
          for (const [i, socket] of sockets.entries()) {
            for (let n = 0; n <= (round + i) % 3; n++) {
              const message = `${round}.${n} of ${i} `.repeat(round % 50 === 0 ? 20_000 : (round % 7) * 40)
              sent[i]!.push(message)
              socket.send(message)
            }
          }
          if (round % 3 === 0) yield* turns(1)
        }
        assert.isAbove(Math.max(...sockets.slice(4).map(({ bufferedAmount }) => bufferedAmount)), 0)
        for (const peer of peers) peer.resume()
        for (const [i, all] of sent.entries()) {
          yield* until(() => got.get(`/${i}`)!.length === all.length)
          assert.isTrue(got.get(`/${i}`)!.every((message, n) => message === all[n]))
        }
      })
  )

  it.live("keep their order among pings, and come before the close frame", () =>
    Effect.gen(function* () {
      const got: Array<string> = []
      const server = yield* wsServer((peer) => {
        peer.on("message", (data: Buffer) => got.push(String(data.length)))
        peer.on("ping", (payload) => got.push(`ping ${payload}`))
        peer.on("close", (code) => got.push(`close ${code}`))
      })
      const { socket } = yield* open(`ws://127.0.0.1:${server.port}/`)
      socket.send("x")
      socket.ping("1")
      socket.send("x".repeat(20_000))
      socket.send("xx")
      socket.ping("2")
      socket.send("xxx")
      socket.close(1000, "")
      socket.send("too late")
      yield* until(() => got.at(-1) === "close 1000")
      assert.deepStrictEqual(got, ["1", "ping 1", "20000", "2", "ping 2", "3", "close 1000"])
    })
  )

  it.live("that come in one piece with the handshake are delivered, however the response is cut", () =>
    Effect.gen(function* () {
      for (const cut of [1, 40, -4, -3, -2, -1, 1_000]) {
        const server = yield* tcpServer(
          upgraded((raw) => {
            raw.write(Buffer.concat([frame(0x81, "first"), frame(0x89), frame(0x81, "second")]))
          })
        )
        // In between, what the server says is cut in another place.
        const between = yield* tcpServer((near) => {
          const far = netConnect(server.port, "127.0.0.1")
          near.pipe(far)
          let all = Buffer.alloc(0)
          far.on("data", (bytes: Buffer) => {
            all = Buffer.concat([all, bytes])
            const end = all.indexOf("\r\n\r\n") + 4
            if (end < 4 || all.length < end + 17) return
            const at = cut < 0 ? end + cut : Math.min(cut, all.length)
            near.write(all.subarray(0, at))
            setImmediate(() => near.write(all.subarray(at)))
          })
          near.on("close", () => far.destroy())
        })
        const { messages } = yield* open(`ws://127.0.0.1:${between.port}/`)
        yield* until(() => messages.length === 2)
        assert.deepStrictEqual(messages, ["first", "second"])
      }
    })
  )

  it.live("hold while a secure line is paused: what was read ahead comes afterwards, and the close last", () =>
    Effect.gen(function* () {
      const server = yield* tlsServer(
        upgraded((raw) => {
          raw.resume()
          // More than one read of the decrypted side takes.
          const parts = Array.from({ length: 40 }, (_, i) => frame(0x81, `${i} `.padEnd(3_000)))
          parts.splice(20, 0, frame(0x01, "in "), frame(0x89), frame(0x80, "parts"))
          raw.once("data", () => raw.end(Buffer.concat([...parts, frame(0x88, Buffer.from([0x0f, 0xa0]))])))
        })
      )
      const { ends, heard, messages, socket } = yield* open(`wss://127.0.0.1:${server.port}/`)
      let paused = 0
      heard.onMessage = () => {
        if (messages.length % 5 !== 1) return
        paused += 1
        const atPause = messages.length
        socket.pause()
        setImmediate(() => {
          // Those that were decrypted with it, a record at most, still come.
          assert.isAtMost(messages.length - atPause, 6)
          socket.resume()
        })
      }
      socket.send("go on")
      yield* until(() => ends.length === 1)
      assert.deepStrictEqual(
        messages.map((message) => String(message).trim()),
        Array.from({ length: 41 }, (_, i) => (i === 20 ? "in parts" : String(i < 20 ? i : i - 1)))
      )
      assert.isAbove(paused, 1)
      assert.deepStrictEqual(ends, [{ code: 4000, reason: "", initiator: "Remote" }])
    })
  )

  it.live("behind a violation are not delivered, whether they come with it or later", () =>
    Effect.gen(function* () {
      for (const isLater of [false, true]) {
        const violation = Buffer.concat([frame(0x01, "a"), frame(0x80, Buffer.from([0xff]))])
        const server = yield* tcpServer(
          upgraded((raw) => {
            raw.resume()
            raw.write(frame(0x81, "before"))
            raw.write(isLater ? violation : Buffer.concat([violation, frame(0x81, "behind")]))
            raw.write(frame(0x81, "behind"))
          })
        )
        const { ends, messages } = yield* open(`ws://127.0.0.1:${server.port}/`)
        yield* until(() => ends.length === 1)
        yield* turns(20)
        assert.deepStrictEqual(messages, ["before"])
        assert.deepStrictEqual(ends, [{ code: 1007, reason: "", initiator: "Local" }])
      }
    })
  )
})
