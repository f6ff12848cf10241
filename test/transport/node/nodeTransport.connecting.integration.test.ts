import { Agent } from "node:http"
import { Agent as SecureAgent } from "node:https"
import type { Socket } from "node:net"
import { inspect } from "node:util"
import type { ConnectRequest, TransportError } from "effect-websocket-pool/WebSocketTransport"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import { assert, describe, it } from "#support/vitest"
import {
  acceptance,
  eitherServer,
  httpAnswer,
  type Listening,
  tcpServer,
  tls,
  wsServer,
  wssServer
} from "../../fixtures/servers.js"
import { ownFrames } from "../../support/ownFrames.js"
import { connect, local, type Options, refused, until } from "./support.js"

describe(`NodeWebSocketTransport, ${ownFrames ? "own frames" : "frames of ws"}`, () => {
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

    it.live("is told after what has opened before it, in the same turn of the event loop", () =>
      Effect.gen(function* () {
        const answers: Array<() => void> = []
        const refusal = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
        const server = yield* tcpServer(
          httpAnswer((socket, head) => {
            const isAccepted = head.startsWith("GET /open")
            const answer = () => void socket.write(isAccepted ? acceptance(head) : refusal)
            if (isAccepted) answers.unshift(answer)
            else answers.push(answer)
          })
        )
        const told: Array<string> = []
        const connecting = ["refused", "open"].map((path) =>
          connect({ url: `${local(server)}${path}` }).pipe(
            Effect.match({ onFailure: ({ status }) => told.push(`${status}`), onSuccess: () => told.push("open") })
          )
        )
        const answering = Effect.andThen(
          until(() => answers.length === 2),
          Effect.sync(() => {
            for (const answer of answers) answer()
          })
        )
        yield* Effect.all([...connecting, answering], { concurrency: "unbounded" })
        assert.deepStrictEqual(told, ["open", "503"])
      })
    )

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

    it.live("takes no other attempt of its turn with it, whatever it was given", () =>
      Effect.gen(function* () {
        const server = yield* wsServer(() => {})
        const wrong = { protocols: ["bad protocol"], headers: { a: 1 } } as unknown as Partial<ConnectRequest>
        const [first, second] = yield* Effect.all(
          [Effect.exit(connect(wrong)), Effect.exit(connect({ url: local(server) }))],
          { concurrency: 2 }
        )
        assert.deepStrictEqual([Exit.isFailure(first), Exit.isSuccess(second)], [true, true])
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
})
