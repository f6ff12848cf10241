/**
 * The pool at work, in the terminal: `npm run demo`, or `npm run demo -- --url wss://…` with a server of your own, and
 * with `--monitor` in the browser, too.
 *
 * Several hundred fibers share 32 connections to a server that greets, answers, says things unasked, drops
 * connections, and is away for a while. Every feature of the pool is on.
 */
import { parseArgs } from "node:util"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Data, Effect, Exit, Fiber, Logger, LogLevel, Schedule, Scope, Stream } from "effect"
import { type PoolError, type PoolStats, WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import * as Monitor from "./demo/monitor.js"
import { burst } from "./demo/requests.js"
import * as Server from "./demo/server.js"
import { Tally } from "./demo/tally.js"
import * as View from "./demo/view.js"
import * as Work from "./demo/work.js"

const usage = `Usage: npm run demo [-- options]

  --url <url>        a WebSocket server that sends back what it gets; by default the demo brings its own
  --monitor          shows the pool in the browser, too, at the address that is printed first
  --seconds <n>      how long to work, 2 to 15 (default 9); with --monitor 2 to 3600 (default 120)
  --help             this text`

/** Milliseconds after which the demo's own server has shown all of its moods, and begins anew. */
const longestCycle = 20_000

/** What there is to demonstrate with. */
interface Scene {
  readonly title: string
  readonly phase: () => string
  readonly pool: WebSocketPool.Options
  readonly work: Work.Work
  /** What else happens while the work is done; it tells each phase: what the server does, and what the pool does about it. */
  readonly plot: (pool: WebSocketPool.WebSocketPool, tell: Tell) => Effect.Effect<unknown>
  /** Connections that the server sees, if it can be asked. */
  readonly serverSockets: () => number | undefined
}

type Tell = (server: string, pool: string) => Effect.Effect<void>

/** A request that the server has refused is no reason to give up the connection. */
const discardOn = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && !(exit.cause._tag === "Fail" && exit.cause.error instanceof Work.Rejected)

const localScene = (duration: number): Effect.Effect<Scene, never, Scope.Scope> =>
  Effect.map(Server.make, (server) => ({
    title: `300 fibers, 32 connections, one moody server at ${server.url}`,
    phase: () => (server.isAway() ? "the server is away" : ""),
    pool: {
      url: server.url,
      name: "demo",
      minConnections: 4,
      maxConnections: 32,
      acquireTimeout: "1 second",
      maxWaiters: 250,
      connectTimeout: "1 second",
      retry: Schedule.exponential("50 millis").pipe(Schedule.jittered, Schedule.intersect(Schedule.recurs(3))),
      idleTimeout: "500 millis",
      connectionTTL: "5 seconds",
      pingInterval: "1 second",
      pingTimeout: "1 second",
      validateAfterIdle: "500 millis",
      healthCheck: (connection) => Work.exchange(connection),
      onConnect: (connection) => connection.receive, // The greeting.
      drain: { quietPeriod: "5 millis", timeout: "500 millis", condition: Server.isNotice },
      discardOn
    },
    work: {
      fibers: 300,
      duration,
      // Waves: from a handful of requests at once to more than there are connections.
      pause: (progress) => 500 + 350 * Math.cos(progress * 2 * Math.PI * Math.max(3, duration / 10_000)),
      timeout: 500,
      isStrict: true
    },
    plot: (pool, tell) => {
      const cycle = Math.min(duration, longestCycle)
      return Effect.gen(function* () {
        yield* tell("drops a connection now and then", "fails that request alone, and opens another")
        yield* Effect.sleep(cycle * 0.4)
        const away = tell("is away, all connections are lost", "fails fast, and tries again ever more slowly")
        yield* server.away(Effect.zipRight(away, Effect.sleep(Math.min(1000, cycle / 8))))
        yield* tell("is back", "reconnects, as many as callers need")
        yield* Effect.sleep(cycle * 0.2)
        yield* tell("has a new version, say: pool.refresh", "replaces each connection between two leases")
        yield* pool.refresh
        yield* Effect.sleep(cycle * 0.3)
      }).pipe(Effect.forever)
    },
    serverSockets: server.sockets
  }))

const remoteScene = (url: string, duration: number): Scene => ({
  title: "8 fibers, at most 4 connections, some 10 requests a second: this may be somebody else's server",
  phase: () => "",
  pool: {
    url,
    minConnections: 1,
    maxConnections: 4,
    acquireTimeout: "5 seconds",
    connectTimeout: "3 seconds",
    retry: Schedule.intersect(Schedule.spaced("500 millis"), Schedule.recurs(1)),
    idleTimeout: "1 second",
    pingInterval: "2 seconds",
    pingTimeout: "3 seconds",
    drain: { quietPeriod: "20 millis", timeout: "1 second" },
    closeTimeout: "1 second"
  },
  work: { fibers: 8, duration, pause: () => 800, timeout: 3000, isStrict: false },
  plot: () => Effect.void,
  serverSockets: () => undefined
})

class NoEcho extends Data.TaggedError("NoEcho") {
  override get message(): string {
    return "The server was reached, but does not send back what it gets, so there is nothing to show"
  }
}

const answers = (pool: WebSocketPool.WebSocketPool) =>
  pool
    .use((connection) => Work.exchange(connection))
    .pipe(
      Effect.timeout("4 seconds"),
      Effect.catchTag("TimeoutException", "Rejected", () => Effect.fail(new NoEcho()))
    )

/** Works for a while and lets the pool rest for a moment, so that it can shrink; then leaves it to be closed. */
const act = (scene: Scene, tally: Tally, onPool: (pool: WebSocketPool.WebSocketPool) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const pool = yield* WebSocketPool.WebSocketPool
    yield* onPool(pool)
    yield* Effect.forkScoped(Stream.runForEach(pool.events, (event) => Effect.sync(() => tally.onEvent(event))))
    yield* pool.ready
    if (!scene.work.isStrict) yield* answers(pool)
    const rest = 1500
    const duration = scene.work.duration + rest
    const tell = yield* View.show({ title: scene.title, phase: scene.phase, duration, stats: pool.stats, tally })
    const plot = yield* Effect.forkScoped(scene.plot(pool, tell))
    yield* Work.run(pool, scene.work, tally)
    yield* Fiber.interrupt(plot)
    if (scene.work.isStrict) {
      yield* tell("can have many requests at once", "shares connections out: a Multiplexer")
      tally.burst = yield* Effect.scoped(burst(tally.atOnce))
    }
    yield* tell("has nothing more to do", `shrinks to the ${scene.pool.minConnections ?? 0} connections it keeps`)
    yield* Effect.sleep(rest)
    return pool
  }).pipe(Effect.scoped, Effect.provide(NodeWebSocketPool.layer(scene.pool)))

const report = (scene: Scene, tally: Tally, stats: PoolStats.PoolStats): string => {
  const millis = (n: number) => `${n.toFixed(n < 100 ? 1 : 0)} ms`
  const latency = tally.percentiles()
  const byTag = Array.from(tally.failures).sort(([, a], [, b]) => b - a)
  const sockets = scene.serverSockets()
  return View.table([
    ["requests done", View.count(tally.done)],
    ["requests failed", View.count(tally.failed)],
    ...byTag.map(([tag, n]) => [`  ${tag}`, View.count(n)] as const),
    ...(scene.work.isStrict ? [["answers to other requests", View.count(tally.strangers)] as const] : []),
    ["leases", View.count(stats.acquired)],
    ["connections opened", View.count(stats.opened)],
    ["  reconnects", View.count(tally.reconnects)],
    ["  failed attempts", View.count(stats.connectFailures)],
    ...Array.from(tally.closed, ([reason, n]) => [`  closed: ${reason}`, View.count(n)] as const),
    ...(tally.burst === undefined
      ? []
      : [
          [
            `${tally.atOnce} requests at once`,
            `${tally.burst.answered} answered, over ${tally.burst.connections} connections`
          ] as const
        ]),
    ["drained messages", View.count(stats.messagesDropped)],
    ...(latency === undefined
      ? []
      : [
          [
            "latency",
            `p50 ${millis(latency.p50)}, p90 ${millis(latency.p90)}, p99 ${millis(latency.p99)}, max ${millis(latency.max)}`
          ] as const
        ]),
    [
      "left open",
      `${stats.total} connections in the pool${sockets === undefined ? "" : `, ${sockets} sockets at the server`}`
    ]
  ])
}

/** What became of those who got no answer, in words. */
const whyFailed: Readonly<Record<string, string>> = {
  ConnectionClosedError: "lost the connection in the middle, as the server dropped it",
  ConnectionUnavailableError: "could not connect: the server was away",
  PoolExhaustedError: "were turned away: every connection was leased for too long",
  PoolClosedError: "came when the pool was closed",
  Rejected: "were refused by the server, which answered all the same",
  TimeoutException: "were never answered: given up in time, the connection discarded"
}

const verdict = (scene: Scene, tally: Tally): string => {
  const { done, failed } = tally
  const ofOthers =
    tally.strangers === 0 ? "none to the wrong caller" : `${View.count(tally.strangers)} to the wrong caller`
  const answered = `${View.count(done)} of ${View.count(done + failed)} requests were answered`
  const why = Array.from(tally.failures).sort(([, a], [, b]) => b - a)
  return [
    `Verdict: ${answered}${scene.work.isStrict ? `, ${ofOthers}` : ""}.`,
    ...why.map(([tag, n]) => `  ${View.count(n).padStart(5)} ${whyFailed[tag] ?? `failed with ${tag}`}`)
  ].join("\n")
}

const demo = ({ monitor, seconds, url }: Flags) =>
  Effect.gen(function* () {
    const duration = seconds * 1000
    const scene = url === undefined ? yield* localScene(duration) : remoteScene(url, duration)
    const tally = new Tally()
    // The page outlives the pool, so that it can tell of its end.
    const scope = yield* Effect.scope
    const show = (pool: WebSocketPool.WebSocketPool) =>
      Effect.flatMap(Scope.extend(Monitor.serve(pool), scope), (address) => Console.log(`The pool, live: ${address}\n`))
    const pool = yield* act(scene, tally, monitor ? show : () => Effect.void)
    // The server hears of the last closes a moment later.
    yield* Effect.sleep("50 millis")
    yield* Console.log(`\n${report(scene, tally, yield* pool.stats)}\n\n${verdict(scene, tally)}`)
  }).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.None))

// ----------------------------------------------------------------------------
// the command line
// ----------------------------------------------------------------------------

interface Flags {
  readonly url: string | undefined
  readonly monitor: boolean
  readonly seconds: number
  readonly help: boolean
}

/** The flags, or what is wrong with them. */
const readFlags = (): Flags | string => {
  try {
    const { values } = parseArgs({
      options: {
        url: { type: "string" },
        monitor: { type: "boolean", default: false },
        seconds: { type: "string" },
        help: { type: "boolean", default: false }
      }
    })
    const { help, monitor, url } = values
    const [usual, most] = monitor ? [120, 3600] : [9, 15]
    const seconds = values.seconds === undefined ? usual : Number(values.seconds)
    if (!(seconds >= 2 && seconds <= most)) return `--seconds takes a number from 2 to ${most}, not "${values.seconds}"`
    return { url, monitor, seconds, help }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const complain = (exitCode: number, text: string) =>
  Effect.sync(() => {
    process.exitCode = exitCode
    console.error(text)
  })

const onError = (error: PoolError.AcquireError | PoolError.ConnectionError | NoEcho) => complain(1, error.message)

const flags = readFlags()
const main =
  typeof flags === "string"
    ? complain(2, `${flags}\n\n${usage}`)
    : flags.help
      ? Console.log(usage)
      : demo(flags).pipe(
          Effect.catchTag("ConnectionUnavailableError", "ConnectionClosedError", "ConnectionBusyError", onError),
          Effect.catchTag("PoolExhaustedError", "PoolClosedError", "NoEcho", onError),
          Effect.catchAll((badOption) => complain(2, `${badOption.toString()}\n\n${usage}`))
        )

NodeRuntime.runMain(main)
