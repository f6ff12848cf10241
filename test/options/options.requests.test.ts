import { WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import * as Redacted from "#effect/Redacted"
import * as Schedule from "#effect/Schedule"
import { namesIn } from "#support/configErrors"
import { assert, describe, it } from "#support/vitest"
import { expectTag, peers, poolWith, Server, url } from "../support/memoryPool.js"
import { errorWith } from "./support.js"

describe("url", () => {
  for (const [input, kind] of [
    [5, "a number"],
    [{}, "an object"],
    [() => "ws://secret.test", "a function"],
    [["ws://secret.test"], "an array"]
  ] as const) {
    it.effect(`that is ${kind} is called so`, () =>
      Effect.gen(function* () {
        assert.include(String(yield* errorWith({ url: input })), `got ${kind}`)
      })
    )
  }

  for (const [what, input] of [
    ["a text that is no URL", "secret nonsense"],
    ["an http: URL", "http://secret:secret@server.test/?secret"],
    ["an https: URL object", new URL("https://server.test/?token=secret")],
    ["a redacted http: URL", Redacted.make("http://server.test/?secret")],
    ["a URL without its scheme, the user name first", "secret:secret@server.test"],
    ["an empty text", ""],
    ["a missing one", undefined]
  ] as const) {
    it.effect(`may not be ${what}; the error does not show it`, () =>
      Effect.gen(function* () {
        const error = yield* errorWith({ url: input })
        assert.deepStrictEqual(namesIn(error), ["url"])
        assert.match(String(error), /ws/)
        assert.notInclude(String(error), "secret")
        assert.notInclude(JSON.stringify(error), "secret")
        if (input === undefined) assert.include(String(error), "got none")
      })
    )
  }

  for (const [input, said] of [
    ["localhost:8080", "did you mean ws://localhost:8080?"],
    ["localhost", "did you mean ws://localhost?"],
    ["api.example.com:443/v1/secret", "did you mean ws://api.example.com:443/…?"],
    ["127.0.0.1:9000", "did you mean ws://127.0.0.1:9000?"],
    ["[::1]:9000/secret", "did you mean ws://[::1]:9000/…?"],
    ["example.com/secret", "did you mean ws://example.com/…?"],
    ["ws://localhost:80800", "got one that cannot be parsed: look at its host and port"],
    ["wss://secret host", "got one that cannot be parsed: look at its host and port"],
    // What may be a token, a user name or a password is not shown.
    ["localhost:8080/?token=secret", "with another scheme, or without one"],
    ["secret:12345", "with another scheme, or without one"],
    ["secret.secret.secret", "a text that cannot be parsed as a URL"],
    ["user:secret@api.example.com:443", "with another scheme, or without one"],
    ["http://secret.test", "begins with http:; use ws: instead"],
    ["https://secret.test", "begins with https:; use wss: instead"]
  ] as const) {
    it.effect(`that is ${input} is a ConfigError that helps: ${said}`, () =>
      Effect.gen(function* () {
        for (const given of [input, Redacted.make(input)]) {
          const error = yield* errorWith({ url: given })
          assert.deepStrictEqual(namesIn(error), ["url"])
          assert.include(String(error), said)
          assert.notInclude(String(error), "secret")
        }
      })
    )
  }

  for (const [what, input] of [
    ["a string", url],
    ["a URL", new URL(url)],
    ["redacted", Redacted.make(url)],
    ["an effect of a string", Effect.succeed(url)],
    ["an effect of a URL", Effect.succeed(new URL(url))],
    ["an effect of a redacted string", Effect.succeed(Redacted.make(url))],
    ["upper case", "WS://SERVER.test/path"]
  ] as const) {
    it.effect(`may be ${what}`, () =>
      Effect.gen(function* () {
        yield* WebSocketPool.get
        assert.strictEqual((yield* peers)[0]!.url, url)
      }).pipe(Effect.scoped, Effect.provide(poolWith({ url: input })))
    )
  }

  it.effect("may be wss:, and is run before every attempt when it is an effect", () => {
    let attempt = 0
    return Effect.gen(function* () {
      yield* Effect.replicateEffect(WebSocketPool.get, 2)
      assert.deepStrictEqual(
        (yield* peers).map((peer) => peer.url),
        ["wss://server.test/1", "wss://server.test/2"]
      )
    }).pipe(Effect.scoped, Effect.provide(poolWith({ url: Effect.sync(() => `wss://server.test/${++attempt}`) })))
  })
})

describe("headers and protocols", () => {
  it.effect("reach the server, redacted or not", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      assert.strictEqual(connection.protocol, "v2")
      const [handshake] = (yield* Server).handshakes
      assert.deepStrictEqual(handshake?.protocols, ["v2", "v1"])
      assert.deepStrictEqual({ ...handshake?.headers }, { authorization: "Bearer 1", "x-plain": "2" })
    }).pipe(
      Effect.scoped,
      Effect.provide(
        poolWith({
          protocols: ["v2", "v1"],
          headers: { authorization: Redacted.make("Bearer 1"), "x-plain": "2" }
        })
      )
    )
  )

  it.effect("headers are run before every attempt when they are an effect", () => {
    let token = 0
    return Effect.gen(function* () {
      yield* Effect.replicateEffect(WebSocketPool.get, 2)
      assert.deepStrictEqual(
        (yield* Server).handshakes.map(({ headers }) => headers.authorization),
        ["1", "2"]
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(poolWith({ headers: Effect.sync(() => ({ authorization: String(++token) })) }))
    )
  })

  // It was dropped without a word, and the server refused for want of it.
  for (const [what, value] of [
    ["undefined", undefined],
    ["null", null]
  ] as const) {
    it.effect(`a header whose value is ${what} is a ConfigError that names it`, () =>
      Effect.gen(function* () {
        const error = yield* errorWith({ headers: { "x-fine": "1", authorization: value } })
        assert.deepStrictEqual(namesIn(error), ["headers"])
        assert.include(String(error), 'Expected a value of header "authorization", got none: is a variable not set?')
      })
    )
  }

  // The transport failed with a message about its own insides, or sent them twice.
  for (const [name, advice] of [
    ["Sec-WebSocket-Protocol", "use the option protocols"],
    ["sec-websocket-extensions", "perMessageDeflate"],
    ["SEC-WEBSOCKET-KEY", "leave it out"],
    ["Sec-WebSocket-Version", "leave it out"],
    ["connection", "leave it out"],
    ["Upgrade", "leave it out"]
  ] as const) {
    it.effect(`the header ${name}, which is the transport's own, is a ConfigError that says what to do`, () =>
      Effect.gen(function* () {
        const error = yield* errorWith({ headers: { [name]: "secret" } })
        assert.deepStrictEqual(namesIn(error), ["headers"])
        for (const part of [JSON.stringify(name), advice]) assert.include(String(error), part)
        assert.notInclude(String(error), "secret")
      })
    )
  }

  it.effect("every bad header is named, and a good one is not", () =>
    Effect.gen(function* () {
      const error = yield* errorWith({ headers: { upgrade: "h2c", "x-unset": undefined, "x y": "1", "x-good": "1" } })
      assert.deepStrictEqual(namesIn(error), ["headers", "headers", "headers"])
      for (const name of ["upgrade", "x-unset", "x y"]) assert.include(String(error), JSON.stringify(name))
      assert.notInclude(String(error), "x-good")
    })
  )

  for (const [what, headers, advice] of [
    ["a Map", new Map([["authorization", "secret"]]), "got a Map: use Object.fromEntries"],
    ["the Headers of fetch", new Headers({ authorization: "secret" }), "use Object.fromEntries"],
    ["an array of entries", [["authorization", "secret"]], "got an array: use Object.fromEntries"],
    ["redacted as a whole", Redacted.make({ authorization: "secret" }), "redact the values one by one"],
    ["a text", "authorization: secret", "got a string"]
  ] as const) {
    it.effect(`headers may not be ${what}`, () =>
      Effect.gen(function* () {
        const error = yield* errorWith({ headers })
        assert.deepStrictEqual(namesIn(error), ["headers"])
        assert.include(String(error), advice)
        assert.notInclude(String(error), "secret")
      })
    )
  }

  const attemptsWith = (headers: unknown) =>
    Effect.gen(function* () {
      const options = { headers: Effect.succeed(headers), retry: Schedule.recurs(2) } as Partial<WebSocketPool.Options>
      const error = yield* Effect.flip(Effect.scoped(Effect.provide(WebSocketPool.get, poolWith(options))))
      expectTag(error, "ConnectionUnavailableError")
      assert.strictEqual(error.reason, "Setup")
      return error
    })

  it.effect("an effect's header without a value is a failed setup that is tried again", () =>
    Effect.gen(function* () {
      const error = yield* attemptsWith({ authorization: undefined })
      assert.deepInclude(error, { attempts: 3, isRetryable: true })
      assert.include(error.message, 'Expected a value of header "authorization", got none')
    })
  )

  it.effect("an effect's header that can never be sent is a failed setup that is not tried again", () =>
    Effect.gen(function* () {
      for (const headers of [
        { "Sec-WebSocket-Protocol": "v1" },
        { connection: undefined },
        { authorization: undefined, "x y": "1" },
        { authorization: 5 },
        new Map(),
        undefined
      ]) {
        assert.deepInclude(yield* attemptsWith(headers), { attempts: 1, isRetryable: false })
      }
    })
  )

  it.effect("protocols may be neither a list in one text nor a Set", () =>
    Effect.gen(function* () {
      for (const protocols of ["v1, v2", "", new Set(["v1"]), [undefined]]) {
        const error = yield* errorWith({ protocols })
        assert.deepStrictEqual(namesIn(error), ["protocols"])
        assert.include(String(error), "an array")
      }
    })
  )

  it.effect("headers with a value that cannot be sent are a ConfigError that does not show it", () =>
    Effect.gen(function* () {
      const error = yield* errorWith({ headers: { authorization: "secret\r\nx: secret" } })
      assert.deepStrictEqual(namesIn(error), ["headers"])
      assert.include(String(error), "authorization")
      assert.notInclude(String(error), "secret")
    })
  )
})
