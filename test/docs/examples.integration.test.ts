/** Every example of the README, and the demo, against a real server. */
import { execFile, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { createConnection } from "node:net"
import { fileURLToPath } from "node:url"
import { WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import type { RawData, WebSocket } from "ws"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Redacted from "#effect/Redacted"
import * as Schema from "#effect/Schema"
import * as Stream from "#effect/Stream"
import * as freshToken from "#examples/fresh-token"
import * as layerMap from "#examples/layer-map"
import * as msgpack from "#examples/msgpack"
import * as reconnectingStream from "#examples/reconnecting-stream"
import * as severalPools from "#examples/several-pools"
import { edition, tsxConfig } from "#support/edition"
import { configLayer, withConfig } from "#support/fibers"
import * as regions from "#support/layerMap"
import { msgPack } from "#support/msgpack"
import { recordLines } from "#support/telemetry"
import { assert, describe, it } from "#support/vitest"
import * as drain from "../../examples/drain.js"
import * as failFast from "../../examples/fail-fast.js"
import * as oneScope from "../../examples/one-scope.js"
import * as proxyAndCa from "../../examples/proxy-and-ca.js"
import * as request from "../../examples/request.js"
import * as retryRequest from "../../examples/retry-request.js"
import "#examples/testing" // It registers its own tests.
import * as typedMessages from "../../examples/typed-messages.js"
import * as use from "../../examples/use.js"
import { watch } from "../../examples/watching.js"
import { type OnConnection, tcpServer, tls, wsServer, wssServer } from "../fixtures/servers.js"
import { hasRedis, RedisServer } from "../support/redisServer.js"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** A server on 127.0.0.1 that answers each message with what `answer` makes of it. */
const answering = (answer: (message: string) => string | Uint8Array, onConnection: OnConnection = () => {}) =>
  Effect.map(
    wsServer((socket, request) => {
      onConnection(socket, request)
      socket.on("message", (data: RawData) => socket.send(answer(data.toString())))
    }),
    ({ port }) => `ws://127.0.0.1:${port}`
  )

const echoing = (onConnection?: OnConnection) => answering((message) => message, onConnection)

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs Node with `tsx`; ended with the scope, if it has not ended before. */
const node = (...args: ReadonlyArray<string>): Effect.Effect<Ended> =>
  Effect.callback<Ended>((resume) => {
    const child = execFile(
      process.execPath,
      ["--import", "tsx", ...args],
      { cwd: root, timeout: 150_000, env: { ...process.env, NO_COLOR: "1", TSX_TSCONFIG_PATH: tsxConfig } },
      (_, stdout, stderr) => resume(Effect.succeed({ code: child.exitCode, stdout, stderr }))
    )
    return Effect.sync(() => child.kill())
  })

describe("the examples", () => {
  it.live("quick start: prints the echo, with no server but its own", () =>
    Effect.gen(function* () {
      const result = yield* node("examples/quick-start.ts")
      assert.deepStrictEqual(result, { code: 0, stdout: "Hello, World!\n", stderr: "" })
    })
  )

  it.live("real server: prints the echo", () =>
    Effect.gen(function* () {
      const url = yield* echoing()
      const source = readFileSync(new URL("../../examples/real-server.ts", import.meta.url), "utf8")
      const result = yield* node("--input-type=module", "--eval", source.replace("ws://localhost:8080", url))
      assert.deepStrictEqual(result, { code: 0, stdout: "Hello, World!\n", stderr: "" })
    })
  )

  it.live("server: answers what is under way when it is told to stop, and ends", () =>
    Effect.gen(function* () {
      let asked = () => {}
      const isAsked = new Promise<void>((resolve) => {
        asked = resolve
      })
      const { port } = yield* wsServer((socket) =>
        socket.on("message", (question: RawData) => {
          asked()
          setTimeout(() => socket.send(`re: ${question}`), 300)
        })
      )
      const server = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(process.execPath, ["--import", "tsx", "examples/server.ts", `ws://127.0.0.1:${port}`, "0"], {
            cwd: root,
            env: { ...process.env, NO_COLOR: "1", TSX_TSCONFIG_PATH: tsxConfig },
            stdio: ["ignore", "pipe", "inherit"]
          })
        ),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const ended = new Promise((resolve) => server.once("exit", (code, signal) => resolve({ code, signal })))
      const answer = yield* Effect.promise(async () => {
        let printed = ""
        for await (const text of server.stdout) {
          printed += text
          const [, at] = /port: (\d+)/.exec(printed) ?? []
          if (at === undefined) continue
          const answering = fetch(`http://127.0.0.1:${at}/hello`)
          await isAsked
          server.kill("SIGTERM")
          const response = await answering
          return { status: response.status, text: await response.text() }
        }
        return undefined
      })
      assert.deepStrictEqual(answer, { status: 200, text: "re: /hello\n" })
      assert.deepStrictEqual(yield* Effect.promise(() => ended), { code: 0, signal: null })
    })
  )

  it.live.skipIf(!hasRedis)("worker of a fleet: uses its share of the quota, and stops when it is told to", () =>
    Effect.gen(function* () {
      const url = yield* echoing()
      const engine = yield* Effect.acquireRelease(
        Effect.promise(() => RedisServer.start()),
        (engine) => Effect.promise(() => engine.end())
      )
      const worker = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(process.execPath, ["--import", "tsx", "examples/worker.ts"], {
            cwd: root,
            env: {
              ...process.env,
              NO_COLOR: "1",
              TSX_TSCONFIG_PATH: tsxConfig,
              QUOTA_PORT: String(engine.port),
              SERVER_URL: url
            },
            stdio: ["ignore", "pipe", "inherit"]
          })
        ),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const ended = new Promise((resolve) => worker.once("exit", (code, signal) => resolve({ code, signal })))
      const told = yield* Effect.promise(async () => {
        let printed = ""
        for await (const text of worker.stdout) {
          printed += text
          const line = /[1-8] of 10 used by 1 workers, [1-8] here/.exec(printed)
          if (line !== null) return true
        }
        return printed
      })
      assert.strictEqual(told, true)
      worker.kill("SIGTERM")
      assert.deepStrictEqual(yield* Effect.promise(() => ended), { code: 0, signal: null })
    })
  )

  it.live("one scope: both questions go over one connection", () =>
    Effect.gen(function* () {
      let connections = 0
      const url = yield* answering(
        (message) => (message === "list" ? "1 apple" : "catalogue A it is"),
        () => {
          connections += 1
        }
      )
      const answers = yield* Effect.provide(oneScope.program, NodeWebSocketPool.layer({ url }))
      assert.deepStrictEqual(answers, ["catalogue A it is", "1 apple"])
      assert.strictEqual(connections, 1)
    })
  )

  it.live("use: a hundred questions share a few connections", () =>
    Effect.gen(function* () {
      let connections = 0
      const url = yield* echoing(() => {
        connections += 1
      })
      const questions = Array.from({ length: 100 }, (_, index) => `question ${index}`)
      const answers = yield* Effect.provide(
        use.askAll(questions),
        NodeWebSocketPool.layer({ url, maxConnections: 5, acquireTimeout: "10 seconds" })
      )
      assert.deepStrictEqual(answers, questions)
      assert.isAtMost(connections, 5)
    })
  )

  it.live("several pools: each goes to its own server", () =>
    Effect.gen(function* () {
      const hearing = yield* answering((recording) => recording.toLowerCase())
      const speech = yield* answering((text) => new TextEncoder().encode(`${text}!`))
      const config = configLayer({ HEARING_URL: hearing, SPEECH_URL: speech })
      const spoken = yield* severalPools
        .interpret(new TextEncoder().encode("HELLO"))
        .pipe(Effect.provide(severalPools.PoolsLive.pipe(Layer.provide(config))))
      assert.deepStrictEqual(spoken, new TextEncoder().encode("hello!"))
    })
  )

  it.live("fresh token: every connect has its own", () =>
    Effect.gen(function* () {
      const seen: Array<string | undefined> = []
      const url = yield* echoing((_, request) => seen.push(request.headers.authorization))
      let issued = 0
      const tokens = Layer.succeed(freshToken.Tokens, {
        next: Effect.sync(() => {
          issued += 1
          return Redacted.make(`token-${issued}`)
        })
      })
      yield* WebSocketPool.useNew(() => Effect.void).pipe(
        Effect.repeat({ times: 1 }),
        Effect.provide(freshToken.layer(url).pipe(Layer.provide(tokens)))
      )
      assert.deepStrictEqual(seen, ["Bearer token-1", "Bearer token-2"])
    })
  )

  it.live("proxy and private CA: connects through the proxy, and trusts the CA", () =>
    Effect.gen(function* () {
      const server = yield* wssServer((socket) => socket.on("message", (data: RawData) => socket.send(data.toString())))
      const asked: Array<string> = []
      const proxy = yield* tcpServer((socket) =>
        socket.once("data", (head) => {
          const target = /^CONNECT (\S+)/.exec(head.toString("latin1"))?.[1] ?? ""
          asked.push(target)
          const upstream = createConnection(server.port, "127.0.0.1", () => {
            socket.write("HTTP/1.1 200 OK\r\n\r\n")
            socket.pipe(upstream).pipe(socket)
          })
          upstream.on("error", () => socket.destroy())
        })
      )
      const url = `wss://localhost:${server.port}`
      const ask = WebSocketPool.use((connection) => Effect.andThen(connection.send("hello"), connection.receive))
      const way = `http://127.0.0.1:${proxy.port}`
      const answer = yield* Effect.provide(ask, proxyAndCa.layer({ url, proxy: way, ca: tls.ca }))
      assert.strictEqual(answer, "hello")
      assert.deepStrictEqual(asked, [`localhost:${server.port}`])

      const error = yield* Effect.flip(Effect.provide(ask, proxyAndCa.layer({ url, proxy: way, ca: tls.otherCa })))
      assert.strictEqual(error._tag, "ConnectionUnavailableError")
      assert.propertyVal(error, "reason", "Tls")
    })
  )

  it.live("drain: notices reach nobody, and the connection is used again", () =>
    Effect.gen(function* () {
      const url = yield* echoing((socket) => {
        socket.send("welcome")
        socket.on("message", () => {
          socket.send("notice: one")
          setTimeout(() => socket.send("notice: two"), 20)
        })
      })
      const [answers, stats] = yield* Effect.gen(function* () {
        const first = yield* drain.ask("first")
        yield* WebSocketPool.stats.pipe(
          Effect.delay("10 millis"),
          Effect.repeat({ until: ({ idle, messagesDropped }) => idle === 1 && messagesDropped > 0 })
        )
        return [[first, yield* drain.ask("second")], yield* WebSocketPool.stats] as const
      }).pipe(Effect.provide(drain.layer(url)))
      assert.deepStrictEqual(answers, ["first", "second"])
      assert.strictEqual(stats.opened, 1)
    })
  )

  it.live("fail fast: what is too much is told so soon", () =>
    Effect.gen(function* () {
      const { port } = yield* wsServer((socket) =>
        socket.on("message", (data: RawData) => setTimeout(() => socket.send(data.toString()), 1000))
      )
      const answers = yield* Effect.forEach(["1", "2", "3", "4", "5", "6"], failFast.answer, {
        concurrency: "unbounded"
      }).pipe(Effect.provide(failFast.layer(`ws://127.0.0.1:${port}`)))
      assert.deepStrictEqual(answers.toSorted(), [
        "1",
        "2",
        "busy, try again later (AcquireTimeout)",
        "busy, try again later (AcquireTimeout)",
        "busy, try again later (TooManyWaiters)",
        "busy, try again later (TooManyWaiters)"
      ])
    })
  )

  it.live("retrying a request: a lost connection costs a moment", () =>
    Effect.gen(function* () {
      let connections = 0
      const { port } = yield* wsServer((socket) => {
        connections += 1
        const isFirst = connections <= 2
        socket.on("message", () => (isFirst ? socket.terminate() : socket.send("found")))
      })
      const answer = yield* Effect.provide(
        retryRequest.lookUp("key"),
        NodeWebSocketPool.layer({ url: `ws://127.0.0.1:${port}` })
      )
      assert.strictEqual(answer, "found")
      assert.strictEqual(connections, 3)
    })
  )

  it.live("a stream that survives reconnects: goes on after a loss and after a clean close", () =>
    Effect.gen(function* () {
      let connections = 0
      const endings: ReadonlyArray<(socket: WebSocket) => void> = [
        (socket) => socket.terminate(),
        (socket) => socket.close(1000),
        () => {}
      ]
      const { port } = yield* wsServer((socket) => {
        connections += 1
        const nth = connections
        socket.on("message", () => socket.send(`update ${nth}`, () => setTimeout(() => endings[nth - 1]?.(socket), 20)))
      })
      const updates = yield* reconnectingStream.updates.pipe(
        Stream.take(3),
        Stream.runCollect,
        Effect.provide(NodeWebSocketPool.layer({ url: `ws://127.0.0.1:${port}`, maxConnections: 1 }))
      )
      assert.deepStrictEqual(Array.from(updates), ["update 1", "update 2", "update 3"])
    })
  )

  it.live("watching: logs why connections close", () =>
    Effect.gen(function* () {
      const { layer: logger, lines } = recordLines()
      const url = yield* echoing((socket) => socket.on("message", () => socket.terminate()))
      yield* Effect.gen(function* () {
        const watching = yield* Effect.forkChild(watch)
        yield* Effect.sleep("20 millis")
        yield* Effect.ignore(use.ask("anybody there?"))
        const pool = yield* WebSocketPool.WebSocketPool
        yield* pool.close
        yield* Fiber.join(watching)
      }).pipe(Effect.provide(NodeWebSocketPool.layer({ url, name: "watched" })), Effect.provide(logger))
      assert.deepStrictEqual(
        lines.map(({ message }) => message),
        ["watched-1: Remote"]
      )
    })
  )

  it.live("typed messages: values go out and come in, and what does not match is told without its value", () =>
    Effect.gen(function* () {
      const url = yield* answering((question) =>
        question === '{"city":"Oslo"}' ? '{"celsius":7,"wind":"12"}' : '{"celsius":"secret"}'
      )
      const [weather, error] = yield* Effect.zip(
        typedMessages.weatherIn("Oslo"),
        Effect.flip(typedMessages.weatherIn("nowhere"))
      ).pipe(Effect.provide(NodeWebSocketPool.layer({ url })))
      assert.deepStrictEqual(weather, { celsius: 7, wind: 12 })
      assert.instanceOf(error, Schema.SchemaError)
      assert.include(error.message, '["celsius"]')
      assert.notInclude(error.message, "secret")
    })
  )

  it.live("MessagePack: binary goes out and comes in", () =>
    Effect.gen(function* () {
      const url = yield* answering(
        () => Schema.encodeSync(msgPack(Schema.Unknown))({ text: "good morning", confidence: 0.9 }),
        (socket) =>
          socket.once("message", (data: RawData) => {
            const recording = Schema.decodeUnknownSync(msgPack(Schema.Unknown))(data)
            assert.deepStrictEqual(Object.keys(recording as object), ["language", "sound"])
          })
      )
      const transcript = yield* msgpack
        .transcribe({ language: "en", sound: Uint8Array.of(1, 2, 3) })
        .pipe(Effect.provide(NodeWebSocketPool.layer({ url })))
      assert.deepStrictEqual(transcript, { text: "good morning", confidence: 0.9 })
    })
  )

  it.live("request: collects an answer in parts", () =>
    Effect.gen(function* () {
      const { port } = yield* wsServer((socket) =>
        socket.on("message", () => {
          for (const text of ["Once ", "upon a ", "time"]) socket.send(JSON.stringify({ text, done: text === "time" }))
        })
      )
      const story = yield* request
        .complete("Tell me a story")
        .pipe(Effect.provide(NodeWebSocketPool.layer({ url: `ws://127.0.0.1:${port}` })))
      assert.strictEqual(story, "Once upon a time")
    })
  )

  it.live("a pool for each region: each goes to its own server, and all are closed in the end", () =>
    Effect.gen(function* () {
      let connections = 0
      let closed = 0
      const count: OnConnection = (socket) => {
        connections += 1
        socket.on("close", () => {
          closed += 1
        })
      }
      const config = {
        URL_EU: yield* answering((question) => `EU: ${question}`, count),
        URL_US: yield* answering((question) => `US: ${question}`, count)
      }
      const answers = yield* Effect.forEach(["EU", "US", "EU", "US"], (region) => layerMap.ask(region, "hello")).pipe(
        Effect.provide(regions.whole),
        withConfig(config)
      )
      assert.deepStrictEqual(answers, ["EU: hello", "US: hello", "EU: hello", "US: hello"])
      assert.strictEqual(connections, 2)
      assert.strictEqual(closed, 2)
    })
  )
})

// There is one demo, for Effect 3.
describe.runIf(edition === 3)("the demo", { timeout: 180_000 }, () => {
  // By itself, and not too short: its requests take 500 ms at most, which is little where many processes start at once.
  it.live("runs to its end and leaves nothing open", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* node("examples/demo.ts", "--seconds", "4")
      assert.strictEqual(stderr, "")
      assert.match(stdout, /^ +\d\.\d s {2}[\d,]+ requests\/s {2}busy \d+, draining \d+, idle \d+, connecting \d+/m)
      assert.match(stdout, /^requests done +[1-9]/m)
      assert.match(stdout, /^answers to other requests +0$/m)
      assert.match(stdout, /^ {2}reconnects +[1-9]/m)
      assert.match(stdout, /^400 requests at once +\d+ answered, over \d connections$/m)
      assert.match(stdout, /^drained messages +[1-9]/m)
      assert.match(stdout, /^latency +p50 [\d.]+ ms, p90 [\d.]+ ms, p99 [\d.]+ ms, max [\d.]+ ms$/m)
      assert.match(stdout, /^left open +0 connections in the pool, 0 sockets at the server$/m)
      assert.strictEqual(code, 0)
      // Each phase is told by what the server does, and by what the pool does about it.
      const phases = Array.from(stdout.matchAll(/^> The server (.+)\.\n {2}The pool (.+)\.$/gm), ([, server]) => server)
      assert.deepStrictEqual(
        [...phases.slice(0, 4), ...phases.slice(-2)],
        [
          "drops a connection now and then",
          "is away, all connections are lost",
          "is back",
          "has a new version, say: pool.refresh",
          "can have many requests at once",
          "has nothing more to do"
        ]
      )
      const [, verdict, reasons] =
        /^Verdict: ([\d,]+ of [\d,]+ requests were answered, none to the wrong caller)\.\n((?: +[\d,]+ .+\n)*)$/m.exec(
          stdout
        )!
      assert.isDefined(verdict)
      const told = Array.from(reasons!.matchAll(/^ +([\d,]+) /gm), ([, n]) => Number(n!.replaceAll(",", "")))
      const failed = /^requests failed +([\d,]+)$/m.exec(stdout)![1]!
      assert.strictEqual(
        told.reduce((sum, n) => sum + n, 0),
        Number(failed.replaceAll(",", ""))
      )
      for (const line of stdout.split("\n")) assert.isAtMost(line.length, 80, line)
    })
  )
})

// Each of them starts a Node.js of its own: together they take half the time.
describe.runIf(edition === 3)("the demo", { concurrent: true, timeout: 180_000 }, () => {
  it.live("goes to another server with few connections", () =>
    Effect.gen(function* () {
      let [open, most] = [0, 0]
      const url = yield* echoing((socket) => {
        socket.send("Request served by a stranger")
        open += 1
        most = Math.max(most, open)
        socket.on("close", () => {
          open -= 1
        })
      })
      const { code, stderr, stdout } = yield* node("examples/demo.ts", "--seconds", "2", "--url", url)
      assert.strictEqual(stderr, "")
      assert.match(stdout, /^requests done +[1-9]/m)
      assert.match(stdout, /^requests failed +0$/m)
      assert.match(stdout, /^left open +0 connections in the pool$/m)
      assert.strictEqual(code, 0)
      assert.isAtMost(most, 4)
    })
  )

  it.live("says that a server cannot be reached", () =>
    Effect.gen(function* () {
      const { port } = yield* tcpServer((socket) => socket.destroy())
      const { code, stderr } = yield* node("examples/demo.ts", "--url", `ws://127.0.0.1:${port}`)
      assert.strictEqual(code, 1)
      assert.include(stderr, `could not connect to ws://127.0.0.1:${port}`)
      assert.notInclude(stderr, "    at ")
    })
  )

  it.live("says that a server does not echo", () =>
    Effect.gen(function* () {
      const { port } = yield* wsServer(() => {})
      const { code, stderr } = yield* node("examples/demo.ts", "--url", `ws://127.0.0.1:${port}`)
      assert.strictEqual(code, 1)
      assert.include(stderr, "does not send back what it gets")
    })
  )

  it.live.each([
    { args: ["--fast"], complaint: "--fast" },
    { args: ["--seconds", "60"], complaint: "from 2 to 15" },
    { args: ["--url", "http://127.0.0.1"], complaint: "ws: or wss:" }
  ])("answers $args with its usage", ({ args, complaint }) =>
    Effect.gen(function* () {
      const { code, stderr } = yield* node("examples/demo.ts", ...args)
      assert.strictEqual(code, 2)
      assert.include(stderr, complaint)
      assert.include(stderr, "Usage: npm run demo")
    })
  )
})
