import { once } from "node:events"
import { Effect } from "effect"
import {
  type Case,
  type Contender,
  child,
  comparison,
  type Measured,
  measure,
  number,
  of,
  perSecond,
  type Report,
  type Sample,
  speed,
  type Table,
  type Target
} from "../harness.js"
import { type WatcherName, watchers } from "../watchers.js"

const connections = 16
const manyWorkers = 256
const message = "x".repeat(64)

/** Each in a process of its own: what watches one of them shall not slow the others down. */
const contenders = (url: string, workers: number, names: ReadonlyArray<WatcherName>) =>
  Effect.forEach(names, (name) =>
    Effect.map(
      child("./watched.js", [name, url, String(connections), String(workers), message]),
      ([child]): Contender => ({
        name,
        label: watchers[name].label,
        isOurs: true,
        workers,
        sample: async (turns) => {
          child.send(turns)
          const [took]: Array<Sample> = await once(child, "message")
          return took!
        }
      })
    )
  )

const table = (title: string, measured: ReadonlyArray<Measured>): Table =>
  comparison(title, "requests/s", "the first = 1", measured)

const target = (
  what: string,
  measured: ReadonlyArray<Measured>,
  name: string,
  { aim, least } = { least: 0.9, aim: 0.97 }
): Target => {
  const base = measured[0]!
  const watched = of(measured, name)
  return {
    what: `${what}: requests/s`,
    measured: `${number(perSecond(watched))}/s`,
    against: `without: ${number(perSecond(base))}/s`,
    ratio: speed(watched, base),
    better: "more",
    least,
    aim
  }
}

export const observed: Case = {
  name: "observed",
  about: "what it costs to watch a pool at work: a recording, events and statistics",
  run: (settings) =>
    Effect.gen(function* () {
      const names = ["nobody", "recording", "events", "events-and-stats"] as const
      const all = yield* contenders(`${settings.url}/echo`, connections, names)
      const measured = yield* measure(all, settings, 300)
      const report: Report = {
        name: "observed",
        tables: [
          table(`Echo of ${message.length} bytes, ${connections} connections, ${connections} fibers, \`use\``, measured)
        ],
        targets: [
          target("a recording of the monitor", measured, "recording", { least: 0.97, aim: 0.99 }),
          target("an event subscriber and statistics every second", measured, "events-and-stats")
        ],
        drawings: [],
        samples: measured
      }
      return report
    })
}

export const telemetry: Case = {
  name: "telemetry",
  about: "what it costs to have OpenTelemetry collect metrics and spans, and to look for leaks",
  run: (settings) =>
    Effect.gen(function* () {
      const names = ["nobody", "leaks", "telemetry", "telemetry-and-leaks"] as const
      const url = `${settings.url}/echo`
      const free = yield* measure(yield* contenders(url, connections, names), settings, 250)
      const waiting = yield* measure(yield* contenders(url, manyWorkers, names), settings, 250)
      const title = (workers: number) =>
        `Echo of ${message.length} bytes, ${connections} connections, ${workers} fibers, \`use\``
      const report: Report = {
        name: "telemetry",
        tables: [table(title(connections), free), table(`${title(manyWorkers)}: a span for each wait`, waiting)],
        targets: [target("metrics, a tracer and the look-out for leaks", free, "telemetry-and-leaks")],
        drawings: [],
        samples: { free, waiting }
      }
      return report
    })
}
