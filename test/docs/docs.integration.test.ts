/** The messages that docs/guides/troubleshooting.md quotes are what is really printed. */

import { readFileSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { PoolError, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import { NodeWebSocketTransport } from "effect-websocket-pool/node"
import * as Cause from "#effect/Cause"
import * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import type * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { edition } from "#support/edition"
import { poll, quietly } from "#support/fibers"
import { type Line, recordLines } from "#support/telemetry"
import { assert, describe, it } from "#support/vitest"
import { faults } from "../support/faults.js"
import { root } from "../support/markdown.js"
import { echo, greet, type Handler, listen, type Options } from "../support/memoryPool.js"

type Fails = Effect.Effect<string, unknown, Scope.Scope>

const use = WebSocketPool.use((connection) =>
  Effect.map(Effect.andThen(connection.send("hello"), connection.receive), String)
)

/** As Effect itself shows it, without the stack. */
const shownAs = (error: unknown): string =>
  PoolError.isPoolError(error) ? `${error._tag}: ${error.message}` : String(error)

// On real sockets

/** Without what differs from run to run, and from one version of Node.js to another. */
const steady = (text: string): string =>
  text
    .replace(/127\.0\.0\.1:\d+/g, "127.0.0.1:8080")
    .replace(/EPROTO .*(wrong version number)[^;]*;/, "EPROTO …:$1:…;")
    .replace(/ \(defined at .*\)/, "")
    .replace(/; if the root CA is installed[^)]*/, "")

/** A pool with default options meets a server that refuses it. */
const met = (name: keyof typeof faults): Fails =>
  Effect.gen(function* () {
    const fault = faults[name]
    const site = yield* fault.site
    if (name === "refusedPort") yield* site.stop
    const transport = "transport" in fault ? fault.transport : {}
    const layer = WebSocketPool.layer({ url: site.url }).pipe(Layer.provide(NodeWebSocketTransport.layer(transport)))
    return yield* Effect.provide(use, layer)
  })

// In memory, on simulated time

interface Scene {
  readonly options?: Partial<Options>
  readonly server?: Handler
  readonly accept?: () => Effect.Effect<unknown, number>
}

const url = "ws://server.example/"

const layerOf = ({ accept, options, server = echo }: Scene) =>
  WebSocketPool.layer({ url, name: "main", ...options }).pipe(
    Layer.provide(
      WebSocketTransport.layerMemory((peer) => server({ ...peer, received: [], ended: undefined }), {
        accept: accept ?? (() => Effect.void)
      })
    )
  )

/** Lets the time go on until it has ended. */
const played = <A, E>(program: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  TestClock.driven(
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(program)
      for (let second = 0; second < 200 && poll(fiber) === undefined; second++) yield* TestClock.adjust("1 second")
      return yield* Fiber.join(fiber)
    })
  )

const scene = (
  setting: Scene,
  program: Effect.Effect<unknown, unknown, WebSocketPool.WebSocketPool | Scope.Scope> = use
): Fails => played(Effect.scoped(program).pipe(Effect.as("no failure"), Effect.provide(layerOf(setting)), quietly))

/** As Effect's own `logfmt` writes a line, without the time, the fiber and the stack. */
const logfmt = ({ annotations, cause, level, message }: Line): string => {
  const [reason] = cause.split("\n")
  const parts = { level, message, ...(reason ? { cause: reason } : {}), ...annotations }
  return Object.entries(parts)
    .map(([key, value]) => `${key}=${/\s/.test(String(value)) ? JSON.stringify(value) : value}`)
    .join(" ")
}

/** Fails with the warnings that a program logs. */
const warningsOf = <A, E>(program: Effect.Effect<A, E>): Fails =>
  Effect.suspend(() => {
    const { layer, lines } = recordLines("Warn")
    const observed = Effect.andThen(Effect.exit(program), TestClock.adjust("1 second"))
    const run = Effect.provide(observed, layer)
    return Effect.flatMap(played(run), () => Effect.fail(lines.map(logfmt).join("\n")))
  })

const warned = (setting: Scene, program: Effect.Effect<unknown, unknown, WebSocketPool.WebSocketPool>): Fails =>
  warningsOf(Effect.provide(program, layerOf(setting)))

/** Without anything that it requires, the test's scope included. */
const alone = (program: Effect.Effect<unknown, unknown, unknown>): Fails =>
  Effect.updateContext(Effect.as(program, "no failure"), () => Context.empty() as Context.Context<unknown>)

const twice = Effect.andThen(WebSocketPool.use(Effect.succeed), Effect.andThen(TestClock.adjust("1 second"), use))

const hold = Effect.forkScoped(WebSocketPool.use(() => Effect.never))

const messages: Readonly<Record<string, Fails>> = {
  refused: met("refusedPort"),
  resetAtOnce: met("resetAtOnce"),
  unknownAuthority: met("unknownAuthority"),
  expired: met("expiredCertificate"),
  otherHost: met("foreignCertificate"),
  noTls: met("notTls"),
  status200: met("status200"),
  status301: met("status301"),
  status401: met("status401"),
  status404: met("status404"),
  status429: met("status429"),
  status503: met("status503"),
  wrongKey: met("wrongKey"),
  notHttp: met("notHttp"),

  silent: scene({ accept: () => Effect.never }),
  silentAttempt: scene({ accept: () => Effect.never, options: { acquireTimeout: "2 minutes" } }),
  setup: scene({ options: { onConnect: () => Effect.fail(new Error("login refused")) } }),
  badUrl: scene({ options: { url: Effect.succeed("https://server.example") } }),
  closesAtOnce: scene({ server: (peer) => peer.close(4001, "no seats"), options: { onConnect: (c) => c.receive } }),

  exhausted: scene({ options: { maxConnections: 1 } }, Effect.andThen(hold, Effect.delay(use, "1 second"))),
  tooManyWaiters: scene(
    { options: { maxConnections: 1, maxWaiters: 0 } },
    Effect.andThen(hold, Effect.delay(use, "1 second"))
  ),
  poolClosed: scene(
    {},
    Effect.flatMap(WebSocketPool.WebSocketPool, (pool) => Effect.andThen(pool.close, use))
  ),

  closedByServer: scene({ server: (peer) => Effect.andThen(peer.receive, peer.close(4000, "out of tokens")) }),
  lineLost: scene({ server: (peer) => Effect.andThen(peer.receive, peer.destroy) }),
  blackHole: scene({ server: (peer) => Effect.andThen(peer.silence, Effect.never) }),
  tooLarge: scene({ server: greet(new Uint8Array(17 * 1024 * 1024)) }),
  closedByHolder: scene(
    {},
    WebSocketPool.use((connection) => Effect.andThen(connection.close(), connection.receive))
  ),
  closeUnanswered: scene(
    { server: (peer) => Effect.andThen(peer.silence, Effect.never) },
    WebSocketPool.use((connection) => Effect.andThen(connection.close(), connection.receive))
  ),
  shutDown: scene(
    { server: listen },
    Effect.gen(function* () {
      const pool = yield* WebSocketPool.WebSocketPool
      const connection = yield* pool.get
      yield* Effect.forkChild(pool.close)
      yield* connection.receive
    })
  ),

  released: scene(
    {},
    Effect.flatMap(WebSocketPool.use(Effect.succeed), (connection) => connection.send("hello"))
  ),
  receiving: scene(
    { server: listen },
    WebSocketPool.use((connection) => Effect.all([connection.receive, connection.receive], { concurrency: 2 }))
  ),

  badOptions: scene({ options: { url: "https://server.example", maxConnections: 0, pingInterval: "-5 seconds" } }),

  unknownOption: Effect.provide(
    use,
    Layer.provide(WebSocketPool.layer({ url }), NodeWebSocketTransport.layer({ followRedirect: true } as object))
  ),
  badProxy: Effect.provide(
    use,
    Layer.provide(WebSocketPool.layer({ url }), NodeWebSocketTransport.layer({ proxy: "127.0.0.1:3128" }))
  ),

  noTransport: alone(Effect.provide(use, WebSocketPool.layer({ url }))),
  noPool: alone(use),
  noScope: alone(Effect.provide(WebSocketPool.get, layerOf({}))),
  noEffect: scene({}, WebSocketPool.use((async () => "hello") as unknown as () => Effect.Effect<string>)),

  wideScope: warningsOf(WebSocketPool.get.pipe(Effect.provide(layerOf({})), Effect.scoped)),
  onReleaseFails: warned(
    { options: { onRelease: () => Effect.fail(new Error("reset refused")) } },
    Effect.andThen(WebSocketPool.use(Effect.succeed), TestClock.adjust("1 second"))
  ),
  healthCheckFails: warned(
    { options: { healthCheck: () => Effect.fail(new Error("status is red")) } },
    Effect.andThen(WebSocketPool.use(Effect.succeed), Effect.andThen(TestClock.adjust("6 seconds"), use))
  ),
  discardOnThrows: warned(
    {
      options: {
        discardOn: () => {
          throw new TypeError("exit.value is undefined")
        }
      }
    },
    use
  ),
  discardOnAsync: warned({ options: { discardOn: (async () => false) as unknown as () => boolean } }, use),
  conditionThrows: warned(
    {
      server: greet("hello"),
      options: {
        drain: {
          quietPeriod: "50 millis",
          condition: () => {
            throw new SyntaxError("Unexpected token h")
          }
        }
      }
    },
    twice
  )
}

const page = resolve(root, "docs/guides/troubleshooting.md")

/** A block whose text is that of a message, in this edition if they differ. */
const blocks = new RegExp(`(<!-- message: (\\w+)(?: ${edition})? -->\\n\`\`\`text\\n)([\\s\\S]*?)(\`\`\`)`, "g")

/** With WRITE_DOCS=1 the page is written instead of read. */
const isWriting = process.env.WRITE_DOCS !== undefined

describe("the messages of docs/guides/troubleshooting.md", () => {
  const text = readFileSync(page, "utf8")
  const quoted = Array.from(text.matchAll(blocks), ([, , name = "", message = ""]) => [name, message] as const)
  const found = new Map<string, string>()

  for (const [name, message] of quoted) {
    it.live(`${name} is printed word for word`, () =>
      Effect.gen(function* () {
        const program = messages[name]
        assert.isDefined(program, `no message of this name is made here`)
        const exit = yield* Effect.exit(program ?? Effect.succeed(""))
        assert.isTrue(Exit.isFailure(exit), `${name} did not fail`)
        if (!Exit.isFailure(exit)) return
        const printed = `${steady(shownAs(Cause.squash(exit.cause)))}\n`
        found.set(name, printed)
        if (!isWriting) assert.strictEqual(message, printed)
      })
    )
  }

  it("leaves no message out", () => {
    assert.sameMembers(
      quoted.map(([name]) => name),
      Object.keys(messages)
    )
    if (!isWriting) return
    writeFileSync(
      page,
      text.replace(blocks, (whole, head: string, name: string, _, tail: string) =>
        found.has(name) ? `${head}${found.get(name)}${tail}` : whole
      )
    )
  })
})
