/**
 * A fleet of processes on one quota, against a backend that counts. What it can do stands below, in what `--help` prints.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { ConnectionQuota } from "effect-websocket-pool"
import { RedisConnectionQuota } from "effect-websocket-pool/redis"
import { build } from "esbuild"
import * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import { Fleet, type FleetWorker } from "../test/support/fleet.js"
import { hasRedis, skipped } from "../test/support/redisServer.js"
import { compare } from "./fleetCompare.js"
import { engineRows } from "./fleetEngine.js"
import { simulate } from "./fleetSimulate.js"
import { table } from "./report.js"

const help = `npm run fleet -- [options]

  --workers 40 --limit 100   so many processes on one quota of so many connections, on a real engine, against a server
                             that counts. Ends with a verdict, and with 1 if that is bad
    --seconds 30             for how long, from when each of them has had its first answer
    --chaos                  kills a worker and restarts the engine by turns, every 8 seconds
                             In a terminal keys do that: k kills a worker, s stops one for longer than its ttl,
                             r restarts the engine without its data, q ends it

  --simulate 1000            so many pools in this process, in simulated time: some are killed, end, or are cut off from
                             the server, and others begin. Takes about two minutes
    --limit 5000 --seconds 20 --seed 1

  --compare                  measures a quota next to other ways to have a limit. Takes about five minutes
    --seconds 8              for how long each of them

  --engine                   measures what 1,000 workers cost the engine, next to commands that do nothing: a part of
                             --compare. Takes about three minutes`

const wrong = (message: string): never => {
  console.error(`${message}\n\n${help}`)
  process.exit(2)
}

const parsed = () => {
  try {
    return parseArgs({
      options: {
        workers: { type: "string", default: "8" },
        limit: { type: "string" },
        seconds: { type: "string" },
        seed: { type: "string", default: "1" },
        chaos: { type: "boolean", default: false },
        simulate: { type: "string" },
        compare: { type: "boolean", default: false },
        engine: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false }
      }
    }).values
  } catch (error) {
    return wrong((error as Error).message)
  }
}
const values = parsed()
if (values.help) {
  console.log(help)
  process.exit()
}

const count = (name: "workers" | "limit" | "seconds" | "seed" | "simulate", otherwise: number): number => {
  const value = values[name]
  if (value === undefined) return otherwise
  return /^[1-9]\d*$/.test(value) ? Number(value) : wrong(`--${name} takes a whole number from 1, not "${value}"`)
}
const limit = count("limit", values.simulate === undefined ? 20 : 5000)
const seconds = count("seconds", values.compare ? 8 : values.simulate === undefined ? 30 : 20)
/** What each worker does at once. */
const fibers = 4
const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

const spread = (counts: ReadonlyArray<number>): string => {
  const least = Math.min(...counts)
  return `answers per worker ${least} to ${Math.max(...counts)}`
}

interface Seen {
  readonly most: number
  readonly stops: number
  /** Workers that nobody had stopped, and that were without the engine for longer than their ttl. */
  readonly lapsed: number
  /** Workers that had not reached an engine that came back when it granted again. */
  readonly late: number
  readonly counts: ReadonlyArray<number>
}

/** Above the limit there may be what stopped workers hold: promised, and no fault. */
const verdict = ({ counts, lapsed, late, most, stops }: Seen): void => {
  const isKept = most <= limit + stops * fibers
  const isGood = isKept && Math.min(...counts) > 0
  const stopped = stops === 0 ? "" : `, ${stops} stopped with at most ${fibers} each`
  console.log(`\nmost sockets ${most} of ${limit}${stopped}, ${spread(counts)}: ${isGood ? "good" : "BAD"}`)
  if (!isGood) process.exitCode = 1
  if (!isKept && lapsed + late > 0) {
    console.log(
      `This machine is too slow for so many: ${lapsed} workers could not report within ttl, and ${late} not within\n` +
        "recovery after a restart. A limit holds for those who can."
    )
  }
}

/** As long as each core has so few workers, they keep these times, in milliseconds; else the times grow with the workers. */
const perCore = 20
const shortest = 3000

/**
 * How many workers of those who had connections have not reached an engine that has come back when it grants again. It asks as one
 * that has none.
 */
const latecomers = (port: number, life: number, before: number): Promise<number> => {
  const client = { host: "127.0.0.1", port }
  const layer = RedisConnectionQuota.layerIoredis({
    name: "fleet",
    connections: limit,
    ttl: life,
    recovery: life,
    client
  })
  const look = Effect.gen(function* () {
    const { stats } = Context.get(yield* Layer.build(layer), ConnectionQuota.ConnectionQuota)
    for (let known: number | undefined; ; yield* Effect.sleep("50 millis")) {
      const { state, workers } = yield* stats
      if (state !== "recovering") return Math.max(before - (known ?? workers - 1), 0)
      known = workers - 1
    }
  })
  return Effect.runPromise(Effect.scoped(look))
}

/** For how long the first processes are waited for, and after how long one has to be served, in seconds. */
const longestStart = 120
const settles = 20

/** As wide as the narrowest terminal. */
const columns = 80

const bar = (part: number, width: number): string => {
  const full = Math.round(Math.min(Math.max(part, 0), 1) * width)
  return "#".repeat(full) + ".".repeat(width - full)
}

interface Crew {
  readonly alive: ReadonlyArray<FleetWorker>
  readonly killed: number
  readonly stopped: number
}

/** What each worker got since the latest view. */
const before = new Map<FleetWorker, number>()

const view = (
  { attempts, most, sockets }: Fleet["backend"],
  second: number,
  { alive, killed, stopped }: Crew
): ReadonlyArray<string> => {
  const rates = alive.map((worker) => {
    const rate = worker.answers - (before.get(worker) ?? 0)
    before.set(worker, worker.answers)
    return rate
  })
  const busiest = Math.max(1, ...rates)
  const cells = rates.map(
    (rate, index) => `${String(index + 1).padStart(3)} ${bar(rate / busiest, 6)} ${String(rate).padStart(4)}/s`
  )
  const perRow = Math.floor(columns / 20)
  const rows = Array.from({ length: Math.ceil(cells.length / perRow) }, (_, row) =>
    cells.slice(row * perRow, (row + 1) * perRow).join("    ")
  )
  return [
    `${String(second).padStart(4)} s  sockets ${bar(sockets / limit, 40)} ${sockets} of ${limit}`,
    `        most ${most}   attempts ${attempts}   workers ${alive.length}   killed ${killed}   stopped ${stopped}`,
    "",
    ...rows,
    "",
    "k kill   s stop for longer than ttl   r restart the engine without data   q quit"
  ].map((line) => line.slice(0, columns))
}

let shown = 0
/** In a terminal each view takes the place of the one before; elsewhere only the first lines are of use. */
const show = (lines: ReadonlyArray<string>): void => {
  if (process.stdout.isTTY) {
    process.stdout.write(`${shown > 0 ? `\u001b[${shown}A\u001b[J` : ""}${lines.join("\n")}\n`)
    shown = lines.length
  } else console.log(lines.slice(0, 2).join("\n"))
}

/** The program of a worker in one file: dozens of processes that compile it, each for itself, take minutes to begin. */
const bundled = async (folder: string): Promise<string> => {
  const outfile = join(folder, "worker.cjs")
  await build({
    entryPoints: [fileURLToPath(new URL("../test/fixtures/fleetWorker.ts", import.meta.url))],
    tsconfig: fileURLToPath(new URL("../tsconfig.json", import.meta.url)),
    bundle: true,
    platform: "node",
    format: "cjs",
    outfile,
    logLevel: "warning"
  })
  return outfile
}

const run = async (workers: number): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "fleet-"))
  // Dozens of processes on a few cores take a while to report, and to find an engine again.
  const life = Math.ceil(shortest * Math.max(workers / (perCore * availableParallelism()), 1))
  const fleet = await Fleet.start({
    ...{ workers, limit, fibers },
    ...{ ttl: life, recovery: life },
    script: await bundled(folder)
  })
  let isEnding = false
  const begun: Array<Promise<unknown>> = []
  let killed = 0
  const stopped = new Set<unknown>()
  const onceStopped = new Set<unknown>()
  let stops = 0
  let late = 0
  const living = () => fleet.workers.filter(({ process }) => process.exitCode === null && process.signalCode === null)
  const some = () => living()[Math.floor(Math.random() * living().length)]
  const chaos: { readonly [key: string]: () => Promise<unknown> } = {
    k: async () => {
      killed += 1
      await some()?.kill()
      fleet.add()
    },
    s: async () => {
      stops += 1
      const worker = some()?.process
      stopped.add(worker)
      onceStopped.add(worker)
      worker?.kill("SIGSTOP")
      await sleep(life + 2000)
      worker?.kill("SIGCONT")
      stopped.delete(worker)
    },
    r: async () => {
      const served = living().filter(({ answers }) => answers > 0).length
      await fleet.engine.kill()
      await sleep(300)
      await fleet.engine.start()
      late += await latecomers(fleet.engine.port, life, served - stopped.size)
    }
  }
  const act = (key: string): void => {
    if (key === "q" || key === "\u0003") isEnding = true
    else if (chaos[key] !== undefined) begun.push(chaos[key]())
  }
  if (process.stdin.isTTY) {
    process.stdin.setRawMode(true)
    process.stdin.on("data", (data) => act(String(data)))
  }
  try {
    // Processes take a while to begin, and the engine to recover.
    const served = () => fleet.workers.filter(({ answers }) => answers > 0).length
    for (let waits = 0; served() < workers && !isEnding; waits++) {
      if (waits === longestStart) {
        console.log(
          `\n${served()} of ${workers} workers had an answer within ${longestStart} s: too many for this machine`
        )
        process.exitCode = 1
        return
      }
      show([`  starting  ${bar(served() / workers, 40)} ${served()} of ${workers} workers have had an answer`])
      await sleep(1000)
    }
    if (served() < workers) return
    for (let second = 1; second <= seconds && !isEnding; second++) {
      await sleep(1000)
      // The end is left to come to rest.
      if (values.chaos && second % 8 === 0 && second <= seconds - 16) act(["k", "r"][(second / 8) % 2] ?? "k")
      show(view(fleet.backend, second, { alive: living(), killed, stopped: stopped.size }))
    }
    const settled = living().filter(({ startedAt }) => performance.now() - startedAt > 1000 * settles)
    const counts = (settled.length > 0 ? settled : living()).map(({ answers }) => answers)
    const lapsed = fleet.workers.filter(({ lapses, process }) => lapses > 0 && !onceStopped.has(process)).length
    verdict({ most: fleet.backend.most, stops, lapsed, late, counts })
  } finally {
    await Promise.allSettled(begun)
    await fleet.end()
    rmSync(folder, { recursive: true, force: true })
    if (process.stdin.isTTY) process.stdin.setRawMode(false)
    process.stdin.pause()
  }
}

if (values.simulate !== undefined) {
  const isGood = simulate({ pools: count("simulate", 1000), limit, seconds, seed: count("seed", 1) })
  if (!isGood) process.exitCode = 1
} else if (!hasRedis) console.log(skipped)
else if (values.compare) await compare(seconds)
else if (values.engine) console.log(table({ columns: ["", "measured"], rows: await engineRows() }))
else await run(count("workers", 8))
