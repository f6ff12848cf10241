import { inspect } from "node:util"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool, NodeWebSocketTransport } from "effect-websocket-pool/node"
import * as Cause from "#effect/Cause"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Layer from "#effect/Layer"
import * as Redacted from "#effect/Redacted"
import * as Schedule from "#effect/Schedule"
import * as Stream from "#effect/Stream"
import { isConfigError } from "#support/configErrors"
import { prettyCause } from "#support/fibers"
import { logger, recordSpans, registered } from "#support/telemetry"
import { assert, describe, it } from "#support/vitest"
import { httpAnswer } from "../fixtures/servers.js"
import { type Fault, faults, meet, site, turns, until } from "../support/faults.js"

const marker = "s3cret"

const user = `${marker}-user`
const password = `${marker} päss/word`
const headers = {
  authorization: Redacted.make(`Bearer ${marker}-token`),
  "x-api-key": `${marker}-key`,
  cookie: `session=${marker}-cookie`
}

const withSecrets = (url: string): string => {
  const secret = new URL(url)
  secret.username = user
  secret.password = password
  secret.searchParams.set("token", `${marker} query`)
  return secret.href
}

const base64 = (text: string): string => Buffer.from(text).toString("base64").replace(/=+$/, "")

/** Every form in which a part of them could be shown. */
const forms = [marker, encodeURIComponent("päss"), "päss", base64(`${user}:`).slice(0, 12), base64(`${marker}-token`)]

/** Everything that can be seen of a value: by a console, a logger, a debugger. */
const seen = (value: unknown): string => {
  const texts = [inspect(value, { depth: 10, showHidden: true, getters: true, maxStringLength: null }), String(value)]
  texts.push(JSON.stringify(value, (_, part) => (typeof part === "bigint" ? String(part) : part)) ?? "")
  if (value instanceof Error) texts.push(value.message, value.stack ?? "", Cause.pretty(Cause.fail(value)))
  return texts.join("\n")
}

const assertHidden = (what: string, value: unknown): void => {
  const text = seen(value)
  for (const form of forms) {
    assert.isFalse(text.toLowerCase().includes(form.toLowerCase()), `${what} shows ${form}: ${text.slice(0, 2000)}`)
  }
}

/** Listens to everything that a program emits by itself. */
const listening = () => {
  const { layer: tracing, spans } = recordSpans()
  const lines: Array<string> = []
  const logging = logger((line, given) => lines.push([line.level, line.cause, ...given.map(seen)].join(" ")), "All")
  const hidden = Effect.sync(() => {
    for (const line of lines) assertHidden("a log line", line)
    for (const { attributes, events, links, name, status } of spans) {
      assertHidden("a span", { name, status, attributes: Object.fromEntries(attributes), events, links })
      // What an exporter makes of it.
      if (status._tag === "Ended" && Exit.isFailure(status.exit)) {
        assertHidden("a span's error", prettyCause(status.exit.cause))
      }
    }
    for (const metric of registered()) assertHidden("a metric", metric)
  })
  return {
    spans,
    /** Makes sure that nothing of it shows a secret. */
    hidden,
    layer: Layer.merge(tracing, logging)
  }
}

/** With every means on by which something could be shown. */
const secretOptions = (url: string) => ({ url: withSecrets(url), headers, leakThreshold: 1 })

/** Runs it, and makes sure that nothing of its error, if it fails, or of what is emitted meanwhile shows a secret. */
const hides = (options: WebSocketPool.Options, transport?: NodeWebSocketTransport.Options): Effect.Effect<unknown> => {
  const { hidden, layer } = listening()
  return Effect.gen(function* () {
    const events: Array<unknown> = []
    yield* Effect.forkScoped(
      Stream.runForEach(WebSocketPool.events, (event) => Effect.sync(() => void events.push(event)))
    )
    yield* turns(1)
    const error = yield* Effect.flip(
      WebSocketPool.use((connection) => Effect.andThen(connection.send("hello"), connection.receive))
    )
    yield* until(() => events.length > 0)
    for (const event of events) assertHidden("an event", event)
    return error
  }).pipe(
    Effect.scoped,
    Effect.provide(WebSocketPool.layer(options).pipe(Layer.provide(NodeWebSocketTransport.layer(transport)))),
    Effect.catch(Effect.succeed),
    Effect.tap((error) =>
      Effect.andThen(
        Effect.sync(() => assertHidden("the error", error)),
        hidden
      )
    ),
    Effect.provide(layer)
  )
}

it("would be seen", () => {
  const error = new Error("Failed", { cause: { deep: { down: new Error(`${marker}-token`) } } })
  assert.throws(() => assertHidden("it", error))
  assert.throws(() => assertHidden("it", { authorization: `Basic ${base64(`${user}:${password}`)}` }))
  assert.throws(() => assertHidden("it", withSecrets("ws://127.0.0.1/")))
})

it.live("secrets reach the server", () =>
  Effect.gen(function* () {
    let head = ""
    const server = yield* site(
      httpAnswer((socket, text) => {
        head = text
        socket.end("HTTP/1.1 401 Unauthorized\r\n\r\n")
      })
    )
    yield* hides(secretOptions(server.url))
    for (const secret of ["token", "key", "cookie"]) assert.include(head, `${marker}-${secret}`)
    assert.include(head, `?token=${marker}+query`)
  })
)

describe("header values, user info and query strings are not shown when", () => {
  for (const fault of Object.values<Fault>(faults)) {
    it.live(fault.name, () => {
      const { hidden, layer, spans } = listening()
      return Effect.gen(function* () {
        const report = yield* meet(fault, (site) => secretOptions(site.url))
        assertHidden("the outcome", report.outcome)
        assert.isAbove(report.events.length, 0)
        for (const event of report.events) assertHidden("an event", event)
        assertHidden("the statistics", report.stats)
        assert.isAbove(spans.length, 2)
        yield* hidden
      }).pipe(Effect.provide(layer))
    })
  }
})

describe("nor when the server sends back", () => {
  const echoes: ReadonlyArray<readonly [name: string, answer: (head: string) => string]> = [
    ["the request", (head) => head],
    ["the header fields in its status line", (head) => `HTTP/1.1 401 ${head.replaceAll("\r\n", " ")}\r\n\r\n`],
    ["the header fields", (head) => head.replace(/^.*\r\n/, "HTTP/1.1 401 Unauthorized\r\n")],
    ["the header fields with an upgrade", (head) => head.replace(/^.*\r\n/, "HTTP/1.1 101 Switching Protocols\r\n")],
    ["the query string in a bad redirect", () => `HTTP/1.1 302 Found\r\nLocation: http://${marker}:x:y/\r\n\r\n`],
    ["the query string in a redirect", () => `HTTP/1.1 302 Found\r\nLocation: ftp://h/?q=${marker}\r\n\r\n`],
    [
      "the user info in a redirect to a port that refuses",
      () => `HTTP/1.1 302 Found\r\nLocation: http://${user}:${marker}@127.0.0.1:1/?q=${marker}\r\n\r\n`
    ]
  ]
  for (const [name, answer] of echoes) {
    for (const followRedirects of [false, true]) {
      it.live(`${name}${followRedirects ? ", redirects followed" : ""}`, () =>
        Effect.gen(function* () {
          const server = yield* site(httpAnswer((socket, head) => void socket.end(answer(head))))
          const options = { ...secretOptions(server.url), retry: Schedule.recurs(0) }
          const error = yield* hides(options, { followRedirects })
          assert.deepInclude(error, { _tag: "ConnectionUnavailableError", url: server.url })
        })
      )
    }
  }
})

describe("nor when they are what is wrong:", () => {
  const fromEffects: Readonly<Record<string, Partial<WebSocketPool.Options>>> = {
    "a URL that is none": { url: Effect.succeed(`${marker}://${marker}:${marker}@@?${marker}`) },
    "a URL of another scheme": { url: Effect.succeed(Redacted.make(withSecrets("http://127.0.0.1:1/"))) },
    "a URL with a fragment": { url: Effect.succeed(`${withSecrets("ws://127.0.0.1:1/")}#${marker}`) },
    "a header value of two lines": { headers: Effect.succeed({ authorization: `Bearer ${marker}\r\nX: ${marker}` }) },
    "a header value that is not Latin-1": { headers: Effect.succeed({ authorization: `${marker} 👋` }) }
  }
  for (const [name, options] of Object.entries(fromEffects)) {
    it.live(`${name}, from an effect`, () =>
      Effect.gen(function* () {
        const error = yield* hides({ ...secretOptions("ws://127.0.0.1:1/"), ...options })
        assert.deepInclude(error, { _tag: "ConnectionUnavailableError", reason: "Setup", isRetryable: false })
      })
    )
  }

  const constant: Readonly<Record<string, Partial<WebSocketPool.Options>>> = {
    "a URL that is none": { url: `ws//${marker}:${marker}@@?${marker}` },
    "a URL of another scheme": { url: new URL(withSecrets("http://127.0.0.1:1/")) },
    "a header value of two lines": { headers: { authorization: Redacted.make(`Bearer ${marker}\nX: ${marker}`) } }
  }
  for (const [name, options] of Object.entries(constant)) {
    it.live(`${name}, among the options`, () =>
      Effect.gen(function* () {
        const layer = NodeWebSocketPool.layer({ ...secretOptions("ws://127.0.0.1:1/"), ...options })
        const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
        assert.isTrue(isConfigError(error))
        assertHidden("the ConfigError", error)
      })
    )
  }

  const url = withSecrets("ws://nowhere.invalid/")
  const complaints: Readonly<Record<string, string>> = {
    "a host that is not known": "getaddrinfo ENOTFOUND nowhere.invalid",
    "a resolver that complains of the whole URL": `Cannot resolve ${url}`,
    "a resolver that complains of the parts of a URL": `${user} ${password} ${new URL(url).search}`,
    "a resolver that complains of a token": `Bearer ${marker}-token is not allowed`,
    "a resolver that complains of credentials": `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`
  }
  for (const [name, message] of Object.entries(complaints)) {
    it.live(name, () =>
      Effect.gen(function* () {
        const options = { url, headers, retry: Schedule.recurs(0) }
        const error = yield* hides(options, {
          lookup: (hostname, _, callback) =>
            callback(Object.assign(new Error(message), { code: "ENOTFOUND", hostname }), [], 0)
        })
        assert.deepInclude(error, { _tag: "ConnectionUnavailableError", reason: "Network" })
      })
    )
  }
})
