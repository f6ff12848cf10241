/**
 * What the pool costs, next to its peers: `npm run bench`.
 *
 * All contenders of a case are measured in the same process and run, taking turns round after round. Figures are
 * medians over the rounds, and so are ratios: each compares what was measured in the same round.
 */
import { fork } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { cases } from "#bench/cases"
import { withoutWarnings } from "#bench/dialect"
import * as Effect from "#effect/Effect"
import { type Case, type Report, server } from "./harness.js"
import {
  allTargets,
  drawCharts,
  inRoot,
  type Results,
  resultsFile,
  surroundings,
  table,
  targets,
  verdict,
  writeDocuments
} from "./report.js"

const usage = `npm run bench -- [options]
  --list         what there is to measure
  --only NAME    only that case; may be repeated, or name several with commas
  --rounds N     how many rounds are counted (default: 9)
  --seconds N    how long idle connections are watched (default: 60)
  --json FILE    where the results go, from the root of the repository (default: ${resultsFile}, if every case is run)
  --from FILE    measure nothing, take results from a file
  --charts       draw docs/charts/bench-*.svg
  --write        fill in the tables of docs/performance.md, and draw; with --only, the other cases stay as they were
  --verbose      say what is being measured, line by line
  --check        exit with 1 if a ratio misses its "at least"`

const { values } = parseArgs({
  options: {
    list: { type: "boolean" },
    help: { type: "boolean" },
    only: { type: "string", multiple: true },
    rounds: { type: "string", default: "9" },
    seconds: { type: "string", default: "60" },
    json: { type: "string" },
    from: { type: "string" },
    charts: { type: "boolean" },
    write: { type: "boolean" },
    verbose: { type: "boolean" },
    check: { type: "boolean" },
    /** What a process that this one has started gets: it runs its case, and reports. */
    alone: { type: "boolean" }
  }
})

const fail = (message: string): never => {
  console.error(message)
  process.exit(2)
}

const count = (text: string): number => {
  const value = Number(text)
  return Number.isInteger(value) && value > 0 ? value : fail(`${text} is not a number of rounds or seconds`)
}

const only = values.only?.flatMap((names) => names.split(","))

const chosen: ReadonlyArray<Case> =
  only?.map((name) => cases.find((one) => one.name === name) ?? fail(`there is no case ${name}; see --list`)) ?? cases

const progress = (what: string): void => {
  if (values.verbose) console.error(what)
  else if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`)
}

const rounds = count(values.rounds)
const seconds = count(values.seconds)

const run = (one: Case): Promise<Report> =>
  Effect.flatMap(server, (url) =>
    one.run({ url, rounds, seconds, progress: (what) => progress(`${one.name}: ${what}`) })
  ).pipe(Effect.scoped, withoutWarnings, Effect.runPromise)

/** Each case has a process, so that none meets what an earlier one has left in the heap, or taught the compiler. */
const runAlone = async (one: Case): Promise<Report> => {
  const start = Date.now()
  const options = ["--only", one.name, "--rounds", values.rounds, "--seconds", values.seconds, "--alone"]
  const child = fork(fileURLToPath(import.meta.url), values.verbose ? [...options, "--verbose"] : options)
  const report = await new Promise<Report>((resolve, reject) => {
    child.once("message", (message: Report) => resolve(message))
    child.once("exit", (code) => reject(new Error(`${one.name} ended with ${code}, and without a report`)))
  })
  progress("")
  for (const { title, ...rest } of report.tables) console.log(`${title}\n\n${table(rest)}\n`)
  console.log(`(${one.name} took ${((Date.now() - start) / 1000).toFixed(0)} s)\n`)
  return report
}

const measureAll = async (): Promise<Results> => {
  const reports: Array<Report> = []
  for (const one of chosen) reports.push({ ...(await runAlone(one)), rounds })
  return { ...surroundings(), rounds, seconds, reports }
}

/** What the file has of the other cases, if it was taken with the same. */
const completed = (results: Results): Results => {
  const kept: Results = JSON.parse(readFileSync(inRoot(resultsFile), "utf8"))
  const taken = ({ machine, node, versions }: Results): string => JSON.stringify([machine, node, versions])
  if (taken(kept) !== taken(results)) fail(`${resultsFile} was taken elsewhere, or with other versions: run every case`)
  const reports = [...results.reports, ...kept.reports.map((report) => ({ rounds: kept.rounds, ...report }))]
  return { ...results, reports: cases.flatMap(({ name }) => reports.find((report) => report.name === name) ?? []) }
}

/** More digits than these are noise. */
const rounded = (_key: string, value: unknown): unknown =>
  typeof value === "number" ? Number(value.toPrecision(5)) : value

const main = async (): Promise<void> => {
  if (values.help) return console.log(usage)
  if (values.list) return console.log(cases.map(({ about, name }) => `${name.padEnd(12)} ${about}`).join("\n"))

  const measured: Results =
    values.from === undefined ? await measureAll() : JSON.parse(readFileSync(inRoot(values.from), "utf8"))
  console.log(`${targets(allTargets(measured))}\n`)

  const isPart = only !== undefined && values.from === undefined
  const results = isPart && values.write ? completed(measured) : measured
  const file = values.json ?? (values.from === undefined && (!isPart || values.write) ? resultsFile : undefined)
  if (file !== undefined) writeFileSync(inRoot(file), `${JSON.stringify(results, rounded)}\n`)
  if (values.write) console.log(`wrote ${writeDocuments(results).join(", ") || "nothing new"}`)
  if (values.charts || values.write) console.log(`drew ${drawCharts(results).join(", ")}`)
  if (values.check && allTargets(measured).some((target) => verdict(target) === "missed")) process.exitCode = 1
}

if (values.alone) {
  const report = await run(chosen[0]!)
  process.send?.(report, () => process.disconnect?.())
} else await main()
