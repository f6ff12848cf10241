/** How the benchmarks measure, and what a case hands back. */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Effect from "#effect/Effect"
import type * as Scope from "#effect/Scope"
import type { Chart } from "./chart.js"

// What a case hands back. All of it goes into a file of JSON, from which tables and charts are made.

export interface Table {
  readonly title: string
  readonly columns: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
}

/** What must be reached, and what is aimed at. */
export interface Target {
  readonly what: string
  readonly measured: string
  /** What it is compared to. */
  readonly against: string
  readonly ratio: number
  /** Whether more is better. */
  readonly better: "more" | "less"
  readonly least: number
  readonly aim: number
  readonly unit?: string
}

export interface Bars {
  readonly title: string
  readonly subtitle: string
  readonly panels: ReadonlyArray<{
    readonly title: string
    readonly bars: ReadonlyArray<{ readonly name: string; readonly value: number; readonly isOurs: boolean }>
  }>
}

export interface Drawing {
  /** The name of its file, without what all have in common. */
  readonly name: string
  readonly bars?: Bars
  readonly lines?: Chart
}

export interface Report {
  readonly name: string
  readonly tables: ReadonlyArray<Table>
  readonly targets: ReadonlyArray<Target>
  readonly drawings: ReadonlyArray<Drawing>
  /** Every sample, for those who want to look closer. */
  readonly samples?: unknown
  /** How many rounds were counted, once it is in a file with others. */
  readonly rounds?: number
}

export interface Settings {
  /** The server, without a path. */
  readonly url: string
  readonly rounds: number
  /** How long a case that watches does so. */
  readonly seconds: number
  readonly progress: (what: string) => void
}

export interface Case {
  readonly name: string
  readonly about: string
  readonly run: (settings: Settings) => Effect.Effect<Report, unknown, Scope.Scope>
}

// Processes

/** A process of its own that answers its first message once it is ready, and ends when it is let go. */
export const child = (
  file: string,
  args: ReadonlyArray<string> = []
): Effect.Effect<readonly [ChildProcess, unknown], never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async (): Promise<readonly [ChildProcess, unknown]> => {
      const child = fork(new URL(file, import.meta.url), args, { execArgv: [] })
      const ended = once(child, "exit").then(([code]) => {
        throw new Error(`${file} ended with ${code} before it was ready`)
      })
      const [answer] = await Promise.race([once(child, "message"), ended])
      // What comes later is nobody's concern.
      ended.catch(() => {})
      return [child, answer]
    }),
    ([child]) =>
      Effect.promise(async () => {
        if (child.exitCode !== null) return
        const exit = once(child, "exit")
        child.disconnect()
        await exit
      })
  )

export const server: Effect.Effect<string, never, Scope.Scope> = Effect.map(
  child("./server.js"),
  ([, port]) => `ws://127.0.0.1:${port}`
)

setFlagsFromString("--expose-gc")
const gc: (options?: { readonly type: "minor" }) => void = runInNewContext("gc")

/** What one contender has left behind shall not be collected at the expense of the next. */
export const collectYoung = (): void => gc({ type: "minor" })

export const collectAll = async (): Promise<void> => {
  for (let times = 0; times < 3; times++) {
    gc()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

// Rounds

export interface AnyContender {
  readonly name: string
  /** What it is called in a table. */
  readonly label: string
  readonly isOurs?: boolean
  /** How many turns a sample has. Default: as many as take some time. */
  readonly turns?: number
  /** Among how many workers they are shared out evenly. Default: 16. */
  readonly workers?: number
}

export interface Runner {
  /** Does so many turns of whatever is measured. */
  readonly run: (turns: number) => Promise<unknown>
  /** What has to be done after a sample, off the clock. */
  readonly after?: () => Promise<unknown>
}

interface Sampler {
  /** Does so many turns elsewhere, and says what they took. */
  readonly sample: (turns: number) => Promise<Sample>
}

export type Contender = AnyContender & (Runner | Sampler)

/** What some turns took: nanoseconds, and microseconds of CPU. */
export interface Sample {
  readonly nanos: number
  readonly cpu: number
}

/** What was measured in each round, for one turn. */
export interface Measured {
  readonly name: string
  readonly label: string
  readonly isOurs: boolean
  /** Nanoseconds. */
  readonly nanos: ReadonlyArray<number>
  /** Microseconds of this process's CPU. */
  readonly cpu: ReadonlyArray<number>
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The median over the rounds of what one measured compared to what the other measured in the same round. */
export const ratio = (one: ReadonlyArray<number>, other: ReadonlyArray<number>): number =>
  median(one.map((value, round) => value / other[round]!))

/** In each round another one begins, and in every second they come in reverse: nobody always follows the same one. */
export const order = <A>(all: ReadonlyArray<A>, round: number): ReadonlyArray<A> => {
  const rotated = all.map((_, index) => all[(index + round) % all.length]!)
  return round % 2 === 0 ? rotated : rotated.reverse()
}

export const sample = async (contender: Runner | Sampler, turns: number): Promise<Sample> => {
  if ("sample" in contender) return contender.sample(turns)
  collectYoung()
  const cpu = process.cpuUsage()
  const start = process.hrtime.bigint()
  await contender.run(turns)
  const nanos = Number(process.hrtime.bigint() - start)
  const { system, user } = process.cpuUsage(cpu)
  await contender.after?.()
  return { nanos, cpu: system + user }
}

/** Turns that take some `millis`, found by doubling; it warms up as well. */
const calibrate = async (contender: Contender, millis: number): Promise<number> => {
  const { workers = 16 } = contender
  for (let each = 4; ; each *= 2) {
    const took = (await sample(contender, each * workers)).nanos / 1e6
    if (took >= millis / 2) return Math.max(1, Math.round((each * millis) / took)) * workers
  }
}

/** Measures contenders next to each other, round after round, after one round that does not count. */
export const measure = (
  contenders: ReadonlyArray<Contender>,
  { progress, rounds }: Settings,
  millis: number
): Effect.Effect<ReadonlyArray<Measured>> =>
  Effect.promise(async () => {
    const entries: Array<{ contender: Contender; turns: number; nanos: Array<number>; cpu: Array<number> }> = []
    for (const contender of contenders) {
      progress(`warming up: ${contender.name}`)
      const turns = contender.turns ?? (await calibrate(contender, millis))
      entries.push({ contender, turns, nanos: [], cpu: [] })
    }
    for (let round = -1; round < rounds; round++) {
      progress(round < 0 ? "warming up" : `round ${round + 1} of ${rounds}`)
      for (const { contender, cpu, nanos, turns } of order(entries, round + 1)) {
        const took = await sample(contender, turns)
        if (round < 0) continue
        nanos.push(took.nanos / turns)
        cpu.push(took.cpu / turns)
      }
    }
    return entries.map(({ contender: { isOurs = false, label, name }, cpu, nanos }) => ({
      name,
      label,
      isOurs,
      nanos,
      cpu
    }))
  })

/** Few enough turns that nothing is collected meanwhile. */
const heapTurns = 128

/**
 * Bytes that one turn of each leaves on the heap: the median over the rounds in which nothing was collected. Twice as many turns
 * leave more by what the turns leave, and not by what it takes to start the fibers.
 */
export const measureHeap = (
  contenders: ReadonlyArray<AnyContender & Runner>,
  { progress, rounds }: Settings
): Effect.Effect<ReadonlyMap<string, number>> =>
  Effect.promise(async () => {
    const bytes = new Map(contenders.map(({ name }): readonly [string, Array<number>] => [name, []]))
    for (let round = 0; round < rounds * 3; round++) {
      progress(`heap, round ${round + 1} of ${rounds * 3}`)
      for (const contender of order(contenders, round)) {
        collectYoung()
        const before = process.memoryUsage().heapUsed
        await contender.run(heapTurns)
        const between = process.memoryUsage().heapUsed
        await contender.run(2 * heapTurns)
        const grown = process.memoryUsage().heapUsed - between - (between - before)
        await contender.after?.()
        if (grown > 0) bytes.get(contender.name)?.push(grown / heapTurns)
      }
    }
    return new Map(Array.from(bytes, ([name, grown]) => [name, median(grown)]))
  })

/** The one of that name. */
export const of = (measured: ReadonlyArray<Measured>, name: string): Measured => {
  const found = measured.find((one) => one.name === name)
  if (found === undefined) throw new Error(`there is no contender ${name}`)
  return found
}

// Figures

export const number = (n: number, digits = 0): string =>
  n.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })

export const perSecond = ({ nanos }: Measured): number => 1e9 / median(nanos)

/** How many times as many turns per second. */
export const speed = (one: Measured, other: Measured): number => ratio(other.nanos, one.nanos)

/** What was measured, compared to the first of it. */
export const comparison = (
  title: string,
  what: string,
  first: string,
  measured: ReadonlyArray<Measured>,
  digits = 1
): Table => {
  const base = measured[0]!
  return {
    title,
    columns: ["", what, first, "client CPU, µs", first],
    rows: measured.map((one) => [
      one.label,
      number(perSecond(one)),
      speed(one, base).toFixed(2),
      median(one.cpu).toFixed(digits),
      ratio(one.cpu, base.cpu).toFixed(2)
    ])
  }
}

// Loops

/** So many turns, one after the other, in a loop that costs next to nothing. */
export const turns = (count: number, turn: Effect.Effect<unknown, unknown>): Effect.Effect<void, unknown> =>
  Effect.suspend(() => {
    let left = count
    return Effect.whileLoop({
      while: () => left > 0,
      body: () => turn,
      step: () => {
        left -= 1
      }
    })
  })

/** How many of all turns a worker does. */
const share = (count: number, workers: number): number => Math.round(count / workers)

/** So many turns, over fibers. */
export const spread = (
  count: number,
  workers: number,
  turn: Effect.Effect<unknown, unknown>
): Effect.Effect<void, unknown> =>
  Effect.forEach(Array.from({ length: workers }), () => turns(share(count, workers), turn), {
    concurrency: "unbounded",
    discard: true
  })

export const fibers = (count: number, workers: number, turn: Effect.Effect<unknown, unknown>): Promise<void> =>
  Effect.runPromise(spread(count, workers, turn))

/** So many turns, over promises. */
export const promises = (count: number, workers: number, turn: () => Promise<unknown>): Promise<unknown> =>
  Promise.all(
    Array.from({ length: workers }, async () => {
      for (let left = share(count, workers); left > 0; left--) await turn()
    })
  )
