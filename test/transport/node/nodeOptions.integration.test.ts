/** Options of the Node transport that do not exist, or are of another kind. */
import { inspect } from "node:util"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketTransport } from "effect-websocket-pool/node"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import { assert, describe, it } from "#support/vitest"
import { optionNames } from "../../../src/options/names.js"
import { wsServer } from "../../fixtures/servers.js"

const failure = (url: string, options: object) =>
  Effect.flip(WebSocketPool.use(Effect.succeed)).pipe(
    Effect.provide(Layer.provide(WebSocketPool.layer({ url }), NodeWebSocketTransport.layer(options)))
  )

describe("an option of the transport", () => {
  for (const [given, problem] of [
    // It was ignored, and so were all of these.
    [{ followRedirect: true }, "option followRedirect does not exist: did you mean followRedirects?"],
    [{ reject_unauthorized: true }, "option reject_unauthorized does not exist: did you mean rejectUnauthorized?"],
    [{ headers: { secret: "1" } }, "option headers does not exist: it is an option of the pool"],
    [{ maxPayload: 1 }, "option maxPayload does not exist: it is an option of the pool"],
    [{ zebra: 1 }, "option zebra does not exist: there are only perMessageDeflate, proxy, agent"],
    [{ followRedirects: "yes" }, "option followRedirects: expected true or false, got a string"],
    [{ maxRedirects: "secret" }, "option maxRedirects: expected a number, got a string"],
    [{ lookup: {} }, "option lookup: expected a function, got an object"],
    [{ agent: null }, "option agent: expected an object, got null"]
  ] as const) {
    it.live(`given as ${inspect(given)} fails the first connect, once`, () =>
      Effect.gen(function* () {
        const server = yield* wsServer(() => {})
        const error = yield* failure(`ws://127.0.0.1:${server.port}`, given)
        assert.strictEqual(error._tag, "ConnectionUnavailableError")
        if (error._tag !== "ConnectionUnavailableError") return
        assert.deepInclude(error, { reason: "Setup", attempts: 1, isRetryable: false })
        assert.include(error.message, `after 1 attempt: the transport's ${problem}`)
        assert.include(error.message, "Look at the options of the transport")
        assert.notInclude(error.message, "secret")
        assert.strictEqual(server.sockets.size, 0)
      })
    )
  }

  it.live("is named with all others that are wrong, and the names that there are are listed once", () =>
    Effect.gen(function* () {
      const error = yield* failure("ws://127.0.0.1:1", { zebra: 1, quagga: 2, Proxy: 3 })
      for (const name of ["zebra", "quagga", "Proxy"])
        assert.include(inspect(error.cause), `option ${name} does not exist`)
      assert.strictEqual(inspect(error.cause).split("there are only").length, 2)
    })
  )

  it.live("that belongs to the pool is called that, whichever it is", () =>
    Effect.gen(function* () {
      const given = Object.fromEntries(optionNames.map((name) => [name, 1]))
      const error = yield* failure("ws://127.0.0.1:1", given)
      for (const name of optionNames)
        assert.include(inspect(error.cause), `option ${name} does not exist: it is an option of the pool`)
    })
  )

  it.live("that does not exist and is undefined is left alone", () =>
    Effect.gen(function* () {
      const error = yield* failure("ws://127.0.0.1:1", { zebra: undefined })
      assert.notInclude(error.message, "zebra")
    })
  )
})
