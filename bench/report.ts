/** What is made of the measurements: tables, charts and the parts of the documents that show them. */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { resolve } from "node:path"
import { house, packages, suffix } from "#bench/dialect"
import * as bars from "./bars.js"
import * as chart from "./chart.js"
import { number, type Report, type Table, type Target } from "./harness.js"

/** A run, as the file of JSON keeps it. */
export interface Results {
  readonly date: string
  readonly machine: string
  readonly node: string
  readonly versions: Readonly<Record<string, string>>
  readonly rounds: number
  readonly seconds: number
  readonly reports: ReadonlyArray<Report>
}

/** npm runs its scripts in the root of the edition. */
const inEdition = (file: string): string => resolve(process.cwd(), file)

/** A file of the repository's. */
export const inRoot = (file: string): string => resolve(process.cwd(), house, file)

/** Where the results of a whole run go. */
export const resultsFile = `docs/charts/bench${suffix}.json`

export const surroundings = () => ({
  date: new Date().toISOString().slice(0, 10),
  machine: `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`,
  node: process.version,
  versions: Object.fromEntries(
    packages.map((name) => [
      name,
      JSON.parse(readFileSync(inEdition(`node_modules/${name}/package.json`), "utf8")).version
    ])
  )
})

// Tables

const aligned = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const line = (row: ReadonlyArray<string>) =>
    `| ${row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join(" | ")} |`
  const rule = `|${widths.map((width, at) => "-".repeat(width + 1) + (at === 0 ? "-" : ":")).join("|")}|`
  return [line(rows[0]!), rule, ...rows.slice(1).map(line)].join("\n")
}

export const table = ({ columns, rows }: Pick<Table, "columns" | "rows">): string => aligned([columns, ...rows])

/** How far a ratio has got. */
export const verdict = ({ aim, better, least, ratio }: Target): "aim" | "met" | "missed" => {
  const reaches = (bound: number) => (better === "more" ? ratio >= bound : ratio <= bound)
  return reaches(aim) ? "aim" : reaches(least) ? "met" : "missed"
}

const verdicts = { aim: "aim reached", met: "met", missed: "MISSED" }

const bound = ({ better, unit = "" }: Target, value: number): string =>
  `${better === "more" ? "≥" : "≤"} ${value}${unit}`

export const targets = (all: ReadonlyArray<Target>): string =>
  table({
    columns: ["case", "measured", "against", "ratio", "at least", "aim", "verdict"],
    rows: all.map((target) => [
      target.what,
      target.measured,
      target.against,
      `${target.ratio.toFixed(2)}${target.unit ?? ""}`,
      bound(target, target.least),
      bound(target, target.aim),
      verdicts[verdict(target)]
    ])
  })

export const allTargets = ({ reports }: Results): ReadonlyArray<Target> => reports.flatMap(({ targets }) => targets)

// Charts and documents

const charts = (name: string): string => `docs/charts/bench-${name}${suffix}.svg`

export const drawCharts = ({ reports }: Results): ReadonlyArray<string> =>
  reports
    .flatMap(({ drawings }) => drawings)
    .map(({ bars: bar, lines, name }) => {
      const file = charts(name)
      if (bar !== undefined) writeFileSync(inRoot(file), bars.render(bar))
      else if (lines !== undefined) writeFileSync(inRoot(file), chart.render(lines))
      return file
    })

/** Cases of several runs may be in one file (`--only` with `--write`), some with more rounds than others. */
const roundsOf = ({ reports, rounds }: Results): string => {
  const all = reports.map((report) => report.rounds ?? rounds)
  const [least, most] = [Math.min(...all), Math.max(...all)]
  return least === most ? number(least) : `${number(least)} to ${number(most)}`
}

const described = (results: Results): string => {
  const { date, machine, node, versions } = results
  return `Taken on ${date}: ${machine}, Node.js ${node.slice(1)}, ${Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(", ")}; medians of ${roundsOf(results)} rounds.`
}

const documents = ["docs/performance.md", "README.md"]

/** Puts what it is given for a name between `<!-- bench: NAME -->` and `<!-- end of bench -->`. */
export const fill = (part: (name: string) => string | undefined): ReadonlyArray<string> =>
  documents.filter((file) => {
    const path = inRoot(file)
    if (!existsSync(path)) return false
    const text = readFileSync(path, "utf8")
    const filled = text.replace(
      /(<!-- bench: ([\w-]+) -->\n)[\s\S]*?(<!-- end of bench -->)/g,
      (whole, begin: string, name: string, end: string) => {
        const content = part(name)
        return content === undefined ? whole : `${begin}\n${content}\n\n${end}`
      }
    )
    if (filled !== text) writeFileSync(path, filled)
    return filled !== text
  })

/** The surroundings, and all tables of a case. */
export const writeDocuments = (results: Results): ReadonlyArray<string> =>
  fill((name) => {
    if (name === `surroundings${suffix}`) return described(results)
    const report = results.reports.find((report) => `${report.name}${suffix}` === name)
    return report?.tables.map((one) => `**${one.title}**\n\n${table(one)}`).join("\n\n")
  })
