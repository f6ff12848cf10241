/** The pool, live: a few lines drawn over and over in a terminal, else a plain line for each second. */
import { Clock, Effect, type Scope } from "effect"
import type { PoolStats } from "effect-websocket-pool"
import type { Tally } from "./tally.js"

export interface Shown {
  readonly title: string
  /** What happens at the moment. */
  readonly phase: () => string
  /** Milliseconds that it will take in all. */
  readonly duration: number
  readonly stats: Effect.Effect<PoolStats.PoolStats>
  readonly tally: Tally
}

/** The states of a connection in the order in which they are drawn, with a sign and a colour for each. */
const states = [
  ["busy", "#", 32],
  ["draining", "~", 33],
  ["idle", "-", 36],
  ["connecting", "+", 35],
  ["closing", "x", 31]
] as const

const out = process.stdout
const hasColours = out.isTTY && (process.env.NO_COLOR ?? "") === ""
const colour = (code: number, text: string): string => (hasColours ? `\x1b[${code}m${text}\x1b[0m` : text)

const seconds = (millis: number): string => `${(millis / 1000).toFixed(1)} s`
export const count = (n: number): string => n.toLocaleString("en-US")

const bar = (part: number, width: number): string => {
  const filled = Math.round(Math.min(1, part) * width)
  return `[${"=".repeat(filled)}${" ".repeat(width - filled)}]`
}

const perSecond = () => {
  const samples: Array<readonly [time: number, done: number]> = [[0, 0]]
  return (time: number, done: number): number => {
    samples.push([time, done])
    while (samples.length > 2 && samples[0]![0] < time - 1000) samples.shift()
    const [firstTime, firstDone] = samples[0]!
    return time === firstTime ? 0 : Math.round(((done - firstDone) * 1000) / (time - firstTime))
  }
}

/** All but those that close: there is no room for them. */
const counts = (stats: PoolStats.PoolStats): string =>
  (["busy", "draining", "idle", "connecting"] as const).map((state) => `${state} ${stats[state]}`).join(", ")

const closedBecause = (tally: Tally): string =>
  Array.from(tally.closed, ([reason, n]) => `${reason} ${n}`).join(", ") || "none yet"

const drawn = (shown: Shown, stats: PoolStats.PoolStats, elapsed: number, rate: number): ReadonlyArray<string> => {
  const { tally } = shown
  const part = elapsed / shown.duration
  const cells = states.map(([state, sign, code]) => colour(code, sign.repeat(stats[state]))).join("")
  const free = " ".repeat(Math.max(0, stats.maxConnections - stats.total))
  const legend = states.map(([state, sign, code]) => `${colour(code, sign)} ${state} ${stats[state]}`).join("   ")
  return [
    colour(1, shown.title),
    `${bar(part, 40)} ${seconds(elapsed)} of ${seconds(shown.duration)}   ${shown.phase()}`,
    "",
    `pool      |${cells}${free}| ${stats.total} of ${stats.maxConnections}, ${stats.waiting} waiting`,
    `          ${legend}`,
    `requests  ${count(rate)}/s   done ${count(tally.done)}   failed ${count(tally.failed)}`,
    `closed    ${closedBecause(tally)}`
  ]
}

const plain = (stats: PoolStats.PoolStats, elapsed: number, rate: number): string =>
  `${seconds(elapsed).padStart(6)}  ${count(rate)} requests/s  ${counts(stats)}, ${stats.waiting} wait`

/** Cuts a line that would wrap; one with colours is left as it is when it fits without them. */
const fitted = (line: string): string => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours
  const bare = line.replace(/\x1b\[\d+m/g, "")
  const width = (out.columns || 80) - 1
  return bare.length <= width ? line : bare.slice(0, width)
}

/** What the server does now, and what the pool does about it. */
type Tell = (server: string, pool: string) => Effect.Effect<void>

/** Shows the pool until the scope closes. What is told stays above it. */
export const show = (shown: Shown): Effect.Effect<Tell, never, Scope.Scope> =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    const rate = perSecond()
    let height = 0

    const frame = Effect.gen(function* () {
      const elapsed = Math.min(shown.duration, (yield* Clock.currentTimeMillis) - start)
      const stats = yield* shown.stats
      const now = rate(elapsed, shown.tally.done)
      if (!out.isTTY) {
        out.write(`${plain(stats, elapsed, now)}\n`)
        return
      }
      const lines = drawn(shown, stats, elapsed, now)
      const up = height === 0 ? "" : `\x1b[${height}A`
      height = lines.length
      out.write(`${up}${lines.map((line) => `\x1b[2K${fitted(line)}\n`).join("")}`)
    })

    if (out.isTTY) {
      yield* Effect.acquireRelease(
        Effect.sync(() => out.write("\x1b[?25l")),
        () =>
          Effect.zipRight(
            Effect.when(frame, () => height > 0),
            Effect.sync(() => out.write("\x1b[?25h"))
          )
      )
    } else out.write(`${fitted(shown.title)}\n`)
    const pause = out.isTTY ? 100 : 1000
    yield* Effect.forkScoped(Effect.forever(Effect.delay(frame, pause)))
    const tell = (line: string): void => {
      const up = out.isTTY && height > 0 ? `\x1b[${height}A\x1b[J` : ""
      height = 0
      out.write(`${up}${line}\n`)
    }
    return (server, pool) =>
      Effect.sync(() => {
        tell(colour(1, fitted(`> The server ${server}.`)))
        tell(fitted(`  The pool ${pool}.`))
      })
  })

/** Two columns, the first as wide as its widest. */
export const table = (rows: ReadonlyArray<readonly [string, string]>): string => {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`.trimEnd()).join("\n")
}
