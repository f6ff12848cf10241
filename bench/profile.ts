/**
 * Where the time goes: `npm run bench:profile`.
 *
 * Runs each subject in a process of its own under `node --cpu-prof`, and adds up the time by where the code comes from.
 * `--allocations` does the same for the bytes that are allocated, `--only` names the subjects, `--out FILE` keeps what
 * was recorded, for the developer tools of a browser, and `--write` puts the sums into docs/performance.md.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { type HeapProfiler, type Profiler, Session } from "node:inspector/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { Effect, Logger, LogLevel } from "effect"
import { WebSocketPool } from "../src/index.js"
import { fibers, number, server } from "./harness.js"
import { instant } from "./instant.js"
import { byHand, depth, jsonRpc, multiplexer } from "./numbered.js"
import { exchange, makePool, type Peer, type PeerName, peers, type Setting } from "./peers.js"
import { fill, inRoot, table } from "./report.js"

const connections = 16
const message = "x".repeat(64)

/** To lease and to give back, without a message. */
const lease =
  (scoped: boolean): Peer =>
  ({ connections, url }) =>
    Effect.map(makePool({ url, minConnections: connections, maxConnections: connections }), (pool) => {
      const turn = scoped ? Effect.scoped(pool.get) : pool.use(() => Effect.void)
      return (times) => fibers(times, 1, turn)
    })

/** The pool alone: a transport without a network. */
const instantly =
  (how: "ask" | "get" | "use"): Peer =>
  ({ connections, message, url }) =>
    Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({ url, minConnections: connections, maxConnections: connections })
      yield* pool.ready
      const ask = {
        ask: pool.ask(message),
        get: Effect.scoped(Effect.flatMap(pool.get, exchange(message))),
        use: pool.use(exchange(message))
      }[how]
      return (times: number, workers: number) => fibers(times, workers, ask)
    }).pipe(Effect.provide(instant))

const receive =
  (how: "receive" | "receiveChunk"): Peer =>
  ({ url }) =>
    Effect.gen(function* () {
      const pool = yield* makePool({ url: url.replace("/echo", "/burst"), minConnections: 1, maxConnections: 1 })
      const connection = yield* pool.get
      return (times) =>
        Effect.gen(function* () {
          yield* connection.send(String(times))
          for (let left = times; left > 0; ) {
            const got = yield* connection[how]
            left -= typeof got === "string" || got instanceof Uint8Array ? 1 : got.length
          }
        }).pipe(Effect.runPromise)
    })

/** Requests that have numbers, to the server that answers them. */
const numbered = (peer: Peer) => ({
  peer: (setting: Setting) => peer({ ...setting, url: setting.url.replace("/echo", "/answer") }),
  workers: connections * depth
})

const subjects: Readonly<Record<string, { readonly peer: Peer; readonly workers: number }>> = {
  ...Object.fromEntries(
    (Object.keys(peers) as Array<PeerName>).map((name) => [name, { peer: peers[name].peer, workers: connections }])
  ),
  waiters: { peer: peers.use.peer, workers: 256 },
  "ask-waiters": { peer: peers.ask.peer, workers: 256 },
  "ask-instant": { peer: instantly("ask"), workers: connections },
  "use-instant": { peer: instantly("use"), workers: connections },
  "get-instant": { peer: instantly("get"), workers: connections },
  "ask-waiters-instant": { peer: instantly("ask"), workers: 256 },
  "waiters-instant": { peer: instantly("use"), workers: 256 },
  lease: { peer: lease(false), workers: 1 },
  "lease-get": { peer: lease(true), workers: 1 },
  receive: { peer: receive("receive"), workers: 1 },
  receiveChunk: { peer: receive("receiveChunk"), workers: 1 },
  "requests-by-hand": numbered(byHand),
  requests: numbered(multiplexer),
  "json-rpc": numbered(jsonRpc)
}

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "bare,fiber,use,use-instant,waiters-instant,get-instant" },
    seconds: { type: "string", default: "3" },
    top: { type: "string", default: "15" },
    allocations: { type: "boolean", default: false },
    out: { type: "string" },
    write: { type: "boolean", default: false },
    /** What a process that this one has started shall do. */
    subject: { type: "string" }
  }
})

interface Place {
  readonly url: string
  readonly functionName: string
  readonly lineNumber: number
}

/** Whose code it is. */
const owner = ({ functionName, url }: Place): string => {
  if (functionName === "(garbage collector)") return "garbage collection"
  if (functionName === "(idle)") return "idle"
  if (functionName === "(program)" || functionName === "(root)") return "Node.js: native, system calls"
  if (url.includes("/bench/dist/src/")) return "this library"
  if (url.includes("/bench/dist/")) return "the benchmark"
  const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)
  if (found !== null) return found[1] === "effect" ? "Effect" : found[1]!
  if (url === "") return "Node.js: native, system calls"
  return "Node.js: JavaScript"
}

const described = ({ functionName, lineNumber, url }: Place): string => {
  if (url === "") return functionName
  return `${functionName || "(anonymous)"} ${url.replace(/.*\/(?:bench\/dist|node_modules)\//, "")}:${lineNumber + 1}`
}

/** What each place took, in microseconds or bytes. */
type Sums = Map<string, { readonly place: Place; sum: number }>

const add = (sums: Sums, place: Place, amount: number): void => {
  const key = described(place)
  const entry = sums.get(key)
  if (entry === undefined) sums.set(key, { place, sum: amount })
  else entry.sum += amount
}

/** The part between two moments, in microseconds of `process.hrtime`: a process also starts and ends. */
const ofTime = (profile: Profiler.Profile, from: number, to: number): Sums => {
  const sums: Sums = new Map()
  const places = new Map(profile.nodes.map(({ callFrame, id }) => [id, callFrame]))
  let at = profile.startTime
  for (const [index, id] of (profile.samples ?? []).entries()) {
    const took = profile.timeDeltas?.[index] ?? 0
    at += took
    if (at > from && at <= to) add(sums, places.get(id)!, took)
  }
  return sums
}

const ofBytes = (profile: HeapProfiler.SamplingHeapProfile): Sums => {
  const sums: Sums = new Map()
  const visit = ({ callFrame, children, selfSize }: HeapProfiler.SamplingHeapProfileNode): void => {
    add(sums, callFrame, selfSize)
    for (const child of children) visit(child)
  }
  visit(profile.head)
  return sums
}

interface Work {
  readonly turns: number
  readonly from: number
  readonly to: number
  /** What the system has charged, in microseconds. */
  readonly user: number
  readonly system: number
  readonly allocations?: HeapProfiler.SamplingHeapProfile
}

const micros = (): number => Number(process.hrtime.bigint() / 1000n)

const work = (name: string): Promise<Work> => {
  const { peer, workers } = subjects[name]!
  return Effect.gen(function* () {
    const url = yield* server
    const ask = yield* peer({ url: `${url}/echo`, connections, message })
    const some = name.startsWith("connection") ? 500 : Math.max(10_000, 16 * workers)
    const run = async (millis: number): Promise<Work> => {
      const from = micros()
      const before = process.cpuUsage()
      let turns = 0
      for (; micros() - from < millis * 1000; turns += some) await ask(some, workers)
      return { turns, from, to: micros(), ...process.cpuUsage(before) }
    }
    return yield* Effect.promise(async () => {
      await run(1000)
      if (!values.allocations) return run(Number(values.seconds) * 1000)
      const session = new Session()
      session.connect()
      await session.post("HeapProfiler.startSampling", {
        samplingInterval: 16_384,
        includeObjectsCollectedByMajorGC: true,
        includeObjectsCollectedByMinorGC: true
      } as HeapProfiler.StartSamplingParameterType)
      const done = await run(Number(values.seconds) * 1000)
      const { profile } = await session.post("HeapProfiler.stopSampling")
      session.disconnect()
      return { ...done, allocations: profile }
    })
  }).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.Error), Effect.runPromise)
}

interface Profiled {
  readonly name: string
  readonly turns: number
  readonly user: number
  readonly system: number
  readonly sums: Sums
}

/** Has the work done in a process of its own. */
const profile = async (name: string): Promise<Profiled> => {
  if (!(name in subjects)) throw new Error(`there is no ${name}; there are ${Object.keys(subjects).join(", ")}`)
  const folder = mkdtempSync(join(tmpdir(), "bench-profile-"))
  try {
    const execArgv = values.allocations
      ? []
      : ["--cpu-prof", `--cpu-prof-dir=${folder}`, "--cpu-prof-interval=200", "--cpu-prof-name=profile"]
    const child = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), "--subject", name], { execArgv })
    const exit = once(child, "exit")
    const [done] = await once(child, "message")
    const { allocations, from, system, to, turns, user }: Work = done
    await exit
    const raw = allocations ?? JSON.parse(readFileSync(join(folder, readdirSync(folder)[0]!), "utf8"))
    const kind = values.allocations ? "heapprofile" : "cpuprofile"
    if (values.out !== undefined) writeFileSync(inRoot(`${values.out}-${name}.${kind}`), JSON.stringify(raw))
    return { name, turns, user, system, sums: values.allocations ? ofBytes(raw) : ofTime(raw, from, to) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const unit = values.allocations ? "bytes" : "µs"

const print = (profiled: ReadonlyArray<Profiled>): void => {
  const each = profiled.map(({ sums, turns }) => {
    const owners = new Map<string, number>()
    for (const { place, sum } of sums.values()) owners.set(owner(place), (owners.get(owner(place)) ?? 0) + sum / turns)
    return owners
  })
  const rows = Array.from(new Set(each.flatMap((owners) => Array.from(owners.keys())))).filter(
    (name) => name !== "idle"
  )
  const total = (owners: Map<string, number>) => rows.reduce((sum, row) => sum + (owners.get(row) ?? 0), 0)
  const digits = values.allocations ? 0 : 2
  const summary = table({
    columns: [`${unit} per turn`, ...profiled.map(({ name }) => name)],
    rows: [
      ...rows
        .toSorted((a, b) => (each.at(-1)!.get(b) ?? 0) - (each.at(-1)!.get(a) ?? 0))
        .map((row) => [row, ...each.map((owners) => number(owners.get(row) ?? 0, digits))]),
      ["all", ...each.map((owners) => number(total(owners), digits))],
      ...(values.allocations
        ? []
        : [
            ["charged by the system: the process", ...profiled.map(({ turns, user }) => number(user / turns, digits))],
            [
              "charged by the system: the kernel",
              ...profiled.map(({ system, turns }) => number(system / turns, digits))
            ]
          ])
    ]
  })
  console.log(summary)
  if (values.write) {
    const part = values.allocations ? "allocations" : "profile"
    console.log(`\nwrote ${fill((name) => (name === part ? summary : undefined)).join(", ") || "nothing new"}`)
  }
  for (const { name, sums, turns } of profiled) {
    const top = Array.from(sums.values())
      .filter(({ place }) => owner(place) !== "idle")
      .toSorted((a, b) => b.sum - a.sum)
      .slice(0, Number(values.top))
    if (top.length === 0) continue
    console.log(`\n${name}, the largest\n`)
    console.log(
      table({
        columns: ["function", "whose", `${unit} per turn`],
        rows: top.map(({ place, sum }) => [described(place), owner(place), number(sum / turns, digits)])
      })
    )
  }
}

if (values.subject === undefined) {
  const profiled: Array<Profiled> = []
  for (const name of values.only.split(",")) profiled.push(await profile(name))
  print(profiled)
} else {
  const done = await work(values.subject)
  process.send?.(done, () => process.disconnect?.())
}
