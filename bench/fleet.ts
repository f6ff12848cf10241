/**
 * A fleet of processes on one quota, against a backend that counts: `npm run fleet -- --workers 40 --limit 100`. Keys: `k`
 * kills a worker, `s` stops one for longer than `ttl`, `r` restarts the engine without its data, `q` ends it. `--chaos` does
 * these by turns.
 *
 * `--simulate 1000` has as many pools on a quota in memory instead, in simulated time: some are killed, end, or are cut off
 * from the server, and others begin. `--compare` measures a quota next to other ways to have a limit.
 */
import { parseArgs } from "node:util"
import { Fleet, type FleetWorker } from "../test/support/fleet.js"
import { hasRedis, skipped } from "../test/support/redisServer.js"
import { compare } from "./fleetCompare.js"
import { simulate } from "./fleetSimulate.js"

const { values } = parseArgs({
  options: {
    workers: { type: "string", default: "8" },
    limit: { type: "string" },
    seconds: { type: "string" },
    seed: { type: "string", default: "1" },
    chaos: { type: "boolean", default: false },
    simulate: { type: "string" },
    compare: { type: "boolean", default: false }
  }
})
const limit = Number(values.limit ?? (values.simulate === undefined ? 20 : 5000))
const seconds = Number(values.seconds ?? (values.compare ? 8 : values.simulate === undefined ? 30 : 20))
/** What each worker does at once. */
const fibers = 4
const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

const spread = (counts: ReadonlyArray<number>): string => {
  const least = Math.min(...counts)
  return `answers per worker ${least} to ${Math.max(...counts)}`
}

/** Above the limit there may be what stopped workers hold: promised, and no fault. */
const verdict = (most: number, stops: number, counts: ReadonlyArray<number>): void => {
  const isGood = most <= limit + stops * fibers && Math.min(...counts) > 0
  const stopped = stops === 0 ? "" : `, ${stops} stopped with at most ${fibers} each`
  console.log(`\nmost sockets ${most} of ${limit}${stopped}, ${spread(counts)}: ${isGood ? "good" : "BAD"}`)
  if (!isGood) process.exitCode = 1
}

/** For how long the first processes are waited for, and after how long one has to be served, in seconds. */
const longestStart = 60
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
    "k kill   s stop for 5 s   r restart the engine without data   q quit"
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

const run = async (workers: number): Promise<void> => {
  const fleet = await Fleet.start({ workers, limit, fibers })
  let isEnding = false
  const begun: Array<Promise<unknown>> = []
  let killed = 0
  const stopped = new Set<unknown>()
  let stops = 0
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
      worker?.kill("SIGSTOP")
      await sleep(5000)
      worker?.kill("SIGCONT")
      stopped.delete(worker)
    },
    r: async () => {
      await fleet.engine.kill()
      await sleep(300)
      await fleet.engine.start()
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
    let second = 0
    for (let waits = 0; second < seconds && !isEnding; ) {
      await sleep(1000)
      // Processes take a while to begin, and the engine to recover.
      waits += 1
      if (second > 0 || waits > longestStart || fleet.workers.every(({ answers }) => answers > 0)) second += 1
      // The end is left to come to rest.
      if (values.chaos && second > 0 && second % 8 === 0 && second <= seconds - 16)
        act(["k", "r"][(second / 8) % 2] ?? "k")
      show(view(fleet.backend, second, { alive: living(), killed, stopped: stopped.size }))
    }
    const settled = living().filter(({ startedAt }) => performance.now() - startedAt > 1000 * settles)
    const counts = (settled.length > 0 ? settled : living()).map(({ answers }) => answers)
    verdict(fleet.backend.most, stops, counts)
  } finally {
    await Promise.allSettled(begun)
    await fleet.end()
    if (process.stdin.isTTY) process.stdin.setRawMode(false)
    process.stdin.pause()
  }
}

if (values.compare) await compare(seconds)
else if (values.simulate !== undefined) {
  const isGood = simulate({ pools: Number(values.simulate), limit, seconds, seed: Number(values.seed) })
  if (!isGood) process.exitCode = 1
} else if (hasRedis) await run(Number(values.workers))
else console.log(skipped)
