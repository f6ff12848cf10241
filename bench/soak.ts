/**
 * Mixed load and faults on real sockets, for as long as one likes: `npm run soak -- --minutes 10`. With
 * `--frames-of-ws` the transport leaves all frames to `ws`.
 *
 * The server is a process of its own on the loopback interface, so heap, handles and fibers are those of the pools
 * and of the work alone. Ends with exit code 1 if one of them rises, if a reply went to the wrong request, or if
 * anything is left open after closing.
 */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Data, Duration, Effect, Fiber, Logger, LogLevel, Random, type Scope, Stream } from "effect"
import { PoolError, type WebSocketConnection, WebSocketPool, type WebSocketTransport } from "effect-websocket-pool"
import { NodeWebSocketTransport } from "effect-websocket-pool/node"
import { type RawData, type WebSocket, WebSocketServer } from "ws"
import { type Panel, render, type Series } from "./chart.js"

const workers = 64
const greeting = "welcome"
const notice = "notice: "

// The server, a process of its own

const oneIn = (n: number): boolean => Math.random() < 1 / n
const some = <A>(from: ReadonlySet<A>): A | undefined => Array.from(from)[Math.floor(Math.random() * from.size)]

/** Mostly an echo within 5 ms; else the end of the connection, in one way or another, or nothing at all. */
const answer = (client: WebSocket, socket: Socket, data: RawData, isBinary: boolean): void => {
  const reply = () => client.readyState === client.OPEN && client.send(data, { binary: isBinary })
  const dice = Math.floor(Math.random() * 2000)
  if (dice === 0) client.close(1011, "enough")
  else if (dice === 1) client.close()
  else if (dice === 2) socket.resetAndDestroy()
  else if (dice > 1000) reply()
  else if (dice > 3) setTimeout(reply, Math.random() * 5)
}

const serve = (): void => {
  let isAway = false
  const sockets = new Set<Socket>()
  const http = createServer()
  http.on("connection", (socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    socket.on("error", () => {})
    if (isAway) socket.resetAndDestroy()
  })
  const server = new WebSocketServer({ server: http })
  server.on("connection", (client, { socket }) => {
    client.on("error", () => {})
    client.on("message", (data, isBinary) => answer(client, socket, data, isBinary))
    client.send(greeting)
  })
  setInterval(() => some(server.clients)?.send(`${notice}${Date.now()}`), 20)
  setInterval(() => some(sockets)?.destroy(), 700)
  // A line on which nothing moves any more, until its client has given up.
  setInterval(() => some(server.clients)?.pause(), 3000)
  setInterval(() => {
    isAway = true
    for (const socket of sockets) socket.destroy()
    setTimeout(() => {
      isAway = false
    }, 800)
  }, 17_000)
  http.listen(0, "127.0.0.1", () => process.send?.((http.address() as AddressInfo).port))
  process.on("message", () => process.send?.(sockets.size))
  process.on("disconnect", () => process.exit())
}

const ask = (child: ChildProcess) =>
  Effect.promise(async (): Promise<number> => {
    child.send("sockets")
    const [sockets] = await once(child, "message")
    return sockets
  })

const makeServer = Effect.acquireRelease(
  Effect.promise(async () => {
    const child = fork(fileURLToPath(import.meta.url), ["--serve"])
    const [port] = await once(child, "message")
    return { url: `ws://127.0.0.1:${port}`, child, sockets: ask(child) }
  }),
  ({ child }) =>
    Effect.promise(async () => {
      child.disconnect()
      await once(child, "exit")
    })
)

// The work

class Unanswered extends Data.TaggedError("Unanswered") {}

interface Counts {
  requests: number
  done: number
  /** What was neither the answer nor a notice. */
  wrong: number
  readonly failures: Map<string, number>
}

type Connection = WebSocketConnection.WebSocketConnection

const isNotice = (message: unknown): boolean => typeof message === "string" && message.startsWith(notice)

/** A request like no other, small or large, as text or as bytes, and its answer. */
const exchange = (connection: Connection, counts: Counts) =>
  Effect.gen(function* () {
    counts.requests += 1
    const request = `request ${counts.requests} ${"x".repeat(oneIn(20) ? 20_000 : 50)}`
    yield* connection.send(oneIn(2) ? request : Buffer.from(request))
    yield* Stream.runForEachWhile(connection.messages, (message) =>
      Effect.sync(() => {
        const reply = typeof message === "string" ? message : Buffer.from(message).toString()
        if (isNotice(reply)) return true
        if (reply === request) counts.done += 1
        else counts.wrong += 1
        return false
      })
    )
  }).pipe(Effect.timeoutFail({ duration: "1 second", onTimeout: () => new Unanswered() }))

const work = (pool: WebSocketPool.WebSocketPool, counts: Counts) => {
  const request = (connection: Connection) => exchange(connection, counts)
  const use = pool.use(request)
  const conversation = Effect.flatMap(pool.get, (connection) => Effect.repeatN(request(connection), 2))
  const interrupted = (effect: Effect.Effect<void, unknown>) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(Effect.ignore(effect))
      yield* Effect.sleep(yield* Random.nextRange(0, 10))
      yield* Fiber.interrupt(fiber)
    })
  const turns: ReadonlyArray<readonly [weight: number, turn: Effect.Effect<unknown, unknown>]> = [
    [70, use],
    [12, Effect.scoped(conversation)],
    [4, interrupted(use)],
    [2, interrupted(Effect.scoped(conversation))],
    [2, Effect.scoped(Effect.flatMap(pool.getNew, request))],
    [1, interrupted(pool.useNew(request))],
    [2, pool.use((connection) => Effect.zipRight(request(connection), connection.discard))],
    [1, pool.use((connection) => Effect.zipRight(request(connection), connection.close(4000, "done")))],
    [2, pool.use((connection) => connection.ping)],
    [1, pool.use((connection) => Effect.zipRight(request(connection), Effect.fail(new Unanswered())))],
    // The answer is left on its way: the default of `discardOn` knows nothing of it, the holder does.
    [1, pool.use((connection) => Effect.zipRight(connection.send("unheard"), connection.discard))],
    [1, Effect.timeoutOption(use, 2)],
    [1, pool.events.pipe(Stream.take(20), Stream.runDrain, Effect.timeoutOption("1 second"))]
  ]
  const bag = turns.flatMap(([weight, turn]) => Array<Effect.Effect<unknown, unknown>>(weight).fill(turn))
  const onFailure = (error: unknown) =>
    Effect.sync(() => {
      const tag = PoolError.isPoolError(error) || error instanceof Unanswered ? error._tag : String(error)
      counts.failures.set(tag, (counts.failures.get(tag) ?? 0) + 1)
    })
  return Random.choice(bag).pipe(
    Effect.flatMap((turn) => Effect.catchAll(turn, onFailure)),
    Effect.zipRight(Effect.flatMap(Random.nextRange(0, 20), (pause) => Effect.sleep(pause))),
    Effect.forever
  )
}

const meddle = (pool: WebSocketPool.WebSocketPool) =>
  Effect.gen(function* () {
    yield* Effect.sleep(yield* Random.nextRange(500, 2500))
    if (yield* Random.nextBoolean) return yield* pool.refresh
    const maxConnections = yield* Random.nextIntBetween(10, 25)
    yield* Effect.ignore(pool.resize({ minConnections: yield* Random.nextIntBetween(0, 5), maxConnections }))
  }).pipe(Effect.forever)

/** Everything is short, so that all of it happens many times in a minute. */
const options = (url: string, name: string): WebSocketPool.Options => ({
  url,
  name,
  minConnections: 4,
  maxConnections: 24,
  acquireTimeout: "2 seconds",
  connectTimeout: "1 second",
  idleTimeout: "2 seconds",
  connectionTTL: "10 seconds",
  pingInterval: "500 millis",
  pingTimeout: "500 millis",
  validateAfterIdle: "300 millis",
  shutdownTimeout: "1 second",
  closeTimeout: "500 millis",
  onConnect: (connection) => connection.receive
})

// Samples

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

const mebi = 1024 * 1024
const open = () => {
  const resources = process.getActiveResourcesInfo()
  const timers = resources.filter((name) => name === "Timeout").length
  return { handles: resources.length - timers, timers, fibers: Array.from(Effect.runSync(Fiber.roots)).length }
}

const memory = () => {
  collectGarbage()
  const { external, heapUsed } = process.memoryUsage()
  return { heap: heapUsed / mebi, external: external / mebi }
}

interface Sample {
  readonly minutes: number
  readonly heap: number
  readonly external: number
  readonly handles: number
  readonly sockets: number
  readonly total: number
  readonly fibers: number
  readonly rate: number
}

const print = (sample: Sample, { done, wrong }: Counts): void => {
  const { external, fibers, handles, heap, minutes, rate, sockets, total } = sample
  console.log(
    `${(minutes * 60).toFixed(0).padStart(6)} s  heap ${heap.toFixed(2)} + ${external.toFixed(2)} MiB  ` +
      `handles ${handles}  sockets ${sockets} (pools: ${total})  fibers ${fibers}  ` +
      `${rate.toFixed(0)} requests/s  done ${done}  wrong ${wrong}`
  )
}

/** Fits a line. It rises if that cannot be noise, and comes to more than is allowed over the time. */
const trend = (samples: ReadonlyArray<Sample>, value: (sample: Sample) => number, allowed: number) => {
  const n = samples.length
  const mean = (of: (sample: Sample) => number) => samples.reduce((sum, sample) => sum + of(sample), 0) / n
  const meanX = mean(({ minutes }) => minutes)
  const meanY = mean(value)
  const spread = n * mean(({ minutes }) => (minutes - meanX) ** 2)
  const slope = (n * mean((sample) => (sample.minutes - meanX) * (value(sample) - meanY))) / spread
  const residual = n * mean((sample) => (value(sample) - meanY - slope * (sample.minutes - meanX)) ** 2)
  const error = Math.sqrt(residual / (n - 2) / spread)
  const rise = slope * (samples.at(-1)!.minutes - samples[0]!.minutes)
  return { slope, isRising: rise > allowed && slope > 3 * error }
}

const verdict = (samples: ReadonlyArray<Sample>): boolean => {
  const half = samples.slice(samples.length >> 1)
  const { external = 0, heap = 0 } = half[0] ?? {}
  const trends: ReadonlyArray<readonly [name: string, value: (sample: Sample) => number, allowed: number]> = [
    ["heap, MiB", (sample) => sample.heap, Math.max(1, heap / 20)],
    ["external memory, MiB", (sample) => sample.external, Math.max(1, external / 20)],
    ["handles", (sample) => sample.handles - sample.total, 10],
    ["sockets at the server", (sample) => sample.sockets - sample.total, 10],
    ["root fibers", (sample) => sample.fibers - sample.total, 20]
  ]
  let isFlat = true
  console.log("\nover the second half, per minute (what is not memory: beyond what the pools count):")
  for (const [name, value, allowed] of trends) {
    const { isRising, slope } = trend(half, value, allowed)
    if (isRising) isFlat = false
    console.log(
      `  ${name.padEnd(22)} ${slope >= 0 ? "+" : ""}${slope.toFixed(3).padEnd(8)} ${isRising ? "RISING" : "flat"}`
    )
  }
  return isFlat
}

const names: { readonly [Key in keyof Sample]?: string } = { total: "in the pools", sockets: "at the server" }

const draw = (samples: ReadonlyArray<Sample>, minutes: number): string => {
  const series = (key: keyof Sample): Series => ({
    name: names[key] ?? key,
    points: samples.map((sample) => [sample.minutes, sample[key]] as const)
  })
  const panel = (title: string, ...keys: ReadonlyArray<keyof Sample>): Panel => ({ title, series: keys.map(series) })
  return render({
    title: "Soak: mixed load and faults on real sockets",
    subtitle: `${workers} fibers on two pools, ${minutes} min; the server pushes, closes, resets, falls silent, and is away for a moment`,
    x: "minutes",
    panels: [
      panel("Heap after collection, MiB", "heap"),
      panel("External memory, MiB", "external"),
      panel("Handles, timers aside", "handles"),
      panel("Sockets", "total", "sockets"),
      panel("Root fibers", "fibers"),
      panel("Requests done per second", "rate")
    ]
  })
}

interface Run {
  readonly minutes: number
  readonly counts: Counts
  readonly samples: Array<Sample>
}

const sampling = (
  { counts, minutes, samples }: Run,
  pools: ReadonlyArray<WebSocketPool.WebSocketPool>,
  sockets: Effect.Effect<number>
) =>
  Effect.gen(function* () {
    const start = performance.now()
    const period = Math.min(5, minutes)
    let last = { time: start, done: 0 }
    while (performance.now() - start < minutes * 60_000) {
      yield* Effect.sleep(Duration.seconds(period))
      const all = yield* Effect.forEach(pools, (pool) => pool.stats)
      const now = { time: performance.now(), done: counts.done }
      const sample: Sample = {
        minutes: (now.time - start) / 60_000,
        ...memory(),
        handles: open().handles,
        fibers: open().fibers,
        sockets: yield* sockets,
        total: all.reduce((sum, { total }) => sum + total, 0),
        rate: ((now.done - last.done) * 1000) / (now.time - last.time)
      }
      last = now
      samples.push(sample)
      print(sample, counts)
    }
  })

const load = (
  run: Run,
  url: string,
  sockets: Effect.Effect<number>
): Effect.Effect<string, unknown, Scope.Scope | WebSocketTransport.WebSocketTransport> =>
  Effect.gen(function* () {
    const plain = yield* WebSocketPool.make(options(url, "plain"))
    const drained = yield* WebSocketPool.make({
      ...options(url, "drained"),
      drain: { quietPeriod: "10 millis", timeout: "500 millis", condition: isNotice },
      onRelease: (connection) => connection.info
    })
    const pools = [plain, drained]
    for (const pool of pools) {
      for (let n = 0; n < workers / pools.length; n++) yield* Effect.forkScoped(work(pool, run.counts))
      yield* Effect.forkScoped(meddle(pool))
    }
    yield* sampling(run, pools, sockets)
    const all = yield* Effect.forEach(pools, (pool) => pool.stats)
    const total = (count: (stats: WebSocketPool.PoolStats) => number) => all.reduce((sum, one) => sum + count(one), 0)
    return `${total((one) => one.acquired)} leases, ${total((one) => one.opened)} connections opened, ${total((one) => one.connectFailures)} failed attempts`
  })

const soak = (minutes: number, out: string, ownFrames: boolean) =>
  Effect.gen(function* () {
    const run: Run = { minutes, counts: { requests: 0, done: 0, wrong: 0, failures: new Map() }, samples: [] }
    const { sockets, url } = yield* makeServer
    const before = open()
    const summary = yield* load(run, url, sockets).pipe(
      Effect.scoped,
      Effect.provide(NodeWebSocketTransport.layer({ ownFrames })),
      Logger.withMinimumLogLevel(LogLevel.None)
    )
    // What the server has not noticed yet is gone in a moment.
    yield* Effect.sleep("500 millis")
    const after = open()
    const left = {
      handles: after.handles - before.handles,
      timers: after.timers - before.timers,
      fibers: after.fibers - before.fibers,
      sockets: yield* sockets
    }
    const { counts, samples } = run
    const last = memory()
    const failures = Array.from(counts.failures, ([tag, count]) => `${tag} ${count}`).join(", ")
    console.log(`\n${counts.done} of ${counts.requests} requests done, ${counts.wrong} wrong replies; ${summary}`)
    console.log(`failures, as provoked: ${failures}`)
    const isFlat = verdict(samples)
    console.log(
      `left open after closing: handles ${left.handles}, timers ${left.timers}, sockets ${left.sockets}, fibers ${left.fibers}`
    )
    console.log(`heap after closing: ${last.heap.toFixed(2)} + ${last.external.toFixed(2)} MiB`)
    writeFileSync(out, draw(samples, minutes))
    const isClean = Object.values(left).every((count) => count <= 0)
    return isFlat && isClean && counts.wrong === 0
  }).pipe(Effect.scoped, Effect.timeout(Duration.minutes(minutes + 1)))

if (process.argv.includes("--serve")) serve()
else {
  const { values } = parseArgs({
    options: { minutes: { type: "string", default: "1" }, out: { type: "string" }, "frames-of-ws": { type: "boolean" } }
  })
  const minutes = Number(values.minutes)
  if (!(minutes > 0)) throw new Error("--minutes: a number above 0")
  const out =
    values.out === undefined
      ? fileURLToPath(new URL("../docs/charts/soak.svg", import.meta.url))
      : resolve(process.cwd(), values.out)
  const isGood = await Effect.runPromise(soak(minutes, out, values["frames-of-ws"] !== true))
  console.log(isGood ? "flat, and everything closed" : "NOT GOOD")
  if (!isGood) process.exitCode = 1
}
