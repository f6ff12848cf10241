import { Agent as SecureAgent } from "node:https"
import { inspect } from "node:util"
import type { TransportError } from "effect-websocket-pool/WebSocketTransport"
import * as Effect from "#effect/Effect"
import { assert, describe, it } from "#support/vitest"
import { httpAnswer, tcpServer, tls, wsServer, wssServer } from "../../fixtures/servers.js"
import { ownFrames } from "../../support/ownFrames.js"
import { connect, local, type Options, refused, until } from "./support.js"

describe(`NodeWebSocketTransport, ${ownFrames ? "own frames" : "frames of ws"}`, () => {
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
})
