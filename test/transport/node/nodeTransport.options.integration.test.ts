import type { ConnectRequest } from "effect-websocket-pool/WebSocketTransport"
import * as Effect from "#effect/Effect"
import { assert, describe, it } from "#support/vitest"
import { acceptance, httpAnswer, tcpServer, wsServer } from "../../fixtures/servers.js"
import { ownFrames } from "../../support/ownFrames.js"
import { connect, local, type Options, until } from "./support.js"

describe(`NodeWebSocketTransport, ${ownFrames ? "own frames" : "frames of ws"}`, () => {
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
})
