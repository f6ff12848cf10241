import { Effect, Fiber } from "effect"
import { WebSocketPool } from "../../src/index.js"
import {
  type Case,
  type Contender,
  type Measured,
  measure,
  median,
  number,
  of,
  type Report,
  ratio,
  type Target,
  turns
} from "../harness.js"
import { answering, instant } from "../instant.js"
import { Line } from "../line.js"

const connections = [1, 100, 10_000]
const waiters = [0, 1000, 100_000]

const poolOf = (count: number, transport = instant) =>
  Effect.tap(
    WebSocketPool.make({
      url: "ws://instant",
      minConnections: count,
      maxConnections: count,
      // It has to be armed, but nobody is to run into it while another contender has its turn.
      acquireTimeout: "1 hour"
    }),
    (pool) => pool.ready
  ).pipe(Effect.provide(transport))

const doNothing = () => Effect.void

const idle = (count: number) =>
  Effect.map(poolOf(count), (pool): Contender => {
    const use = pool.use(doNothing)
    return {
      name: `connections ${count}`,
      label: `\`use\`, ${number(count)} ${count === 1 ? "connection" : "connections"}`,
      isOurs: true,
      run: (count) => Effect.runPromise(turns(count, use))
    }
  })

/** The holder of the only connection passes it on, or keeps it until there is more to do. */
class Baton {
  private left = 0
  private resume: (() => void) | undefined
  private done = () => {}

  readonly hold = Effect.suspend(() => {
    this.left -= 1
    if (this.left >= 0) return Effect.void
    return Effect.async<void>((resume) => this.keep(() => resume(Effect.void)))
  })

  /** The same for who calls back. */
  readonly pass = (goOn: () => void): void => {
    this.left -= 1
    if (this.left >= 0) goOn()
    else this.keep(goOn)
  }

  private keep(resume: () => void): void {
    this.resume = resume
    this.done()
  }

  readonly run = (count: number): Promise<void> =>
    new Promise((resolve) => {
      this.left = count
      this.done = resolve
      this.resume?.()
    })
}

/** Two fibers hand something to each other; the others stand in line between them. */
const parked = (count: number, baton: Baton, turn: Effect.Effect<unknown, unknown>, waiting: Effect.Effect<number>) =>
  Effect.gen(function* () {
    for (let n = 0; n < count + 2; n++) yield* Effect.forkScoped(turns(Number.POSITIVE_INFINITY, turn))
    while ((yield* waiting) < count + 1) yield* Effect.yieldNow()
    return baton.run
  })

const waitingForPool = (count: number) =>
  Effect.gen(function* () {
    const pool = yield* poolOf(1)
    const waiting = Effect.map(pool.stats, (stats) => stats.waiting)
    const baton = new Baton()
    const run = yield* parked(
      count,
      baton,
      pool.use(() => baton.hold),
      waiting
    )
    const label = `\`use\` by hand-off, ${number(count)} other waiters`
    const contender: Contender = { name: `waiters ${count}`, label, isOurs: true, run }
    return contender
  })

const asking = (count: number) =>
  Effect.gen(function* () {
    const baton = new Baton()
    const pool = yield* poolOf(1, answering(baton.pass))
    const waiting = Effect.map(pool.stats, (stats) => stats.waiting)
    const run = yield* parked(count, baton, pool.ask("x"), waiting)
    const label = `\`ask\` by hand-off, ${number(count)} other waiters`
    const contender: Contender = { name: `asks ${count}`, label, isOurs: true, run }
    return contender
  })

/** Without a pool: fibers in line, each of which has a turn. */
const lineOf = (
  name: string,
  what: string,
  turnIn: (line: Line<undefined>, baton: Baton) => Effect.Effect<unknown>,
  count: number
) =>
  Effect.gen(function* () {
    const line = new Line([undefined])
    const baton = new Baton()
    const waiting = Effect.sync(() => line.length)
    const run = yield* parked(count, baton, turnIn(line, baton), waiting)
    const contender: Contender = { name: `${name} ${count}`, label: `${what}, ${number(count)} others`, run }
    return contender
  })

/** What the fibers cost that wait. */
const waitingInLine = (count: number) =>
  lineOf("line", "fibers in line, no pool", (line, { hold }) => line.use(() => hold), count)

/** The same, and each of them gives back what it has whatever it comes to. */
const waitingInSafeLine = (count: number) =>
  lineOf(
    "safe-line",
    "fibers in line, given back whatever happens",
    (line, { hold }) => line.useSafely(() => hold),
    count
  )

/** The first again, and each of them asks and is answered, as the transport without a network does it. */
const askingInLine = (count: number) =>
  lineOf(
    "line-asks",
    "fibers in line, each is answered",
    (line, { pass }) => {
      const ask = Effect.async<string>((resume) => {
        queueMicrotask(() => pass(() => resume(Effect.succeed("x"))))
      })
      return line.use(() => ask)
    },
    count
  )

/** One joins the line, and gives up. */
const givenUp = (count: number) =>
  Effect.gen(function* () {
    const pool = yield* poolOf(1)
    const use = pool.use(() => Effect.never)
    for (let n = 0; n < count + 1; n++) yield* Effect.forkScoped(use)
    while ((yield* pool.stats).waiting < count) yield* Effect.yieldNow()
    const turn = Effect.flatMap(Effect.fork(use), (fiber) => Effect.zipRight(Effect.yieldNow(), Fiber.interrupt(fiber)))
    const contender: Contender = {
      name: `given up ${count}`,
      label: `fork, wait, interrupt, ${number(count)} other waiters`,
      isOurs: true,
      run: (count) => Effect.runPromise(turns(count, turn))
    }
    return contender
  })

export const scaling: Case = {
  name: "scaling",
  about: "what a lease costs as the pool and its line grow; a transport without a network",
  run: (settings) =>
    Effect.gen(function* () {
      // One kind after the other: those who wait in one are not to fill the heap of the next.
      const measured: Array<Measured> = []
      for (const kind of [
        Effect.forEach(connections, idle),
        Effect.forEach(waiters, waitingForPool),
        Effect.forEach(waiters, asking),
        Effect.forEach(waiters, waitingInLine),
        Effect.forEach(waiters, waitingInSafeLine),
        Effect.forEach(waiters, askingInLine),
        Effect.forEach(waiters, givenUp)
      ]) {
        const some = yield* Effect.scoped(Effect.flatMap(kind, (contenders) => measure(contenders, settings, 100)))
        measured.push(...some)
      }
      // There is nothing to wait for, so the process's own time is what it costs; others disturb it less.
      const cpu = (name: string) => of(measured, name).cpu
      const first = (name: string) => measured.find((one) => one.name.split(" ")[0] === name.split(" ")[0])!
      const target = (what: string, name: string, counts: ReadonlyArray<number>) => {
        const ends = [cpu(`${name} ${counts[0]}`), cpu(`${name} ${counts.at(-1)}`)] as const
        return {
          what,
          measured: `${number(median(ends[1]) * 1000)} ns`,
          against: `with ${number(counts[0]!)}: ${number(median(ends[0]) * 1000)} ns`,
          ratio: ratio(ends[1], ends[0]),
          better: "less" as const,
          least: 1.5,
          aim: 1.1
        }
      }
      const most = waiters.at(-1)!
      const handOff = (name: string, how: string, other: string, bounds: Pick<Target, "least" | "aim">): Target => ({
        what: `${how} by hand-off, ${number(most)} other waiters`,
        measured: `${number(median(cpu(`${name} ${most}`)) * 1000)} ns`,
        against: `${of(measured, `${other} ${most}`).label}: ${number(median(cpu(`${other} ${most}`)) * 1000)} ns`,
        ratio: ratio(cpu(`${name} ${most}`), cpu(`${other} ${most}`)),
        better: "less",
        ...bounds
      })
      const report: Report = {
        name: "scaling",
        tables: [
          {
            title: "What a lease costs as the pool and its line grow",
            columns: ["", "CPU, ns", "the first of its kind = 1", "elapsed, ns"],
            rows: measured.map(({ cpu, label, name, nanos }) => [
              label,
              number(median(cpu) * 1000),
              ratio(cpu, first(name).cpu).toFixed(2),
              number(median(nanos))
            ])
          }
        ],
        targets: [
          target(`lease, ${number(connections.at(-1)!)} connections`, "connections", connections),
          // An ask in line keeps a place, a request and an exchange besides: all have left the caches when its turn comes.
          handOff("asks", "`ask`", "line-asks", { least: 1.2, aim: 1 }),
          handOff("waiters", "`use`", "line", { least: 2, aim: 1.5 })
        ],
        drawings: [],
        samples: measured
      }
      return report
    })
}
