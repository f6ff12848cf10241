import { parseArgs } from "node:util"
import { type Kind, kinds, type Tally } from "./kinds.js"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    steps: { type: "string", default: "300" },
    first: { type: "string", default: "1" },
    /** One kind of pool. */
    only: { type: "string" },
    quiet: { type: "boolean", default: false },
    /** Do not look for the shortest program. */
    brief: { type: "boolean", default: false }
  }
})
const seeds = Number(values.seeds)
const steps = Number(values.steps)
const first = Number(values.first)

const chosen = kinds.filter(({ name }) => values.only === undefined || name === values.only)
if (chosen.length === 0) {
  console.error(`--only takes ${kinds.map(({ name }) => name).join(" or ")}`)
  process.exit(2)
}

/** Whether all seeds hold. */
const check = ({ first: before, name, run }: Kind): boolean => {
  const broken = before?.()
  if (broken !== undefined) {
    console.log(`${name}: seed 0 fails: ${broken}`)
    return false
  }
  const total: { [what: string]: number } = {}
  const add = (tally: Tally): void => {
    for (const [what, count] of Object.entries(tally)) total[what] = (total[what] ?? 0) + count
  }
  const startedAt = performance.now()
  let toldAt = startedAt
  const summary = (): string => {
    const took = ((performance.now() - startedAt) / 1000).toFixed(1)
    const { seconds = 0, ...counts } = total
    const done = Object.entries(counts).map(([what, count]) => `${count} ${what}`)
    return `${done.join(", ")}, ${Math.round(seconds)} simulated seconds in ${took} s`
  }

  for (let seed = first; seed < first + seeds; seed++) {
    const { failure, tally } = run({ seed, steps, programs: 1, brief: values.brief })
    if (failure !== undefined) {
      console.log(`${name}: seed ${seed} fails: ${failure.message}`)
      if (!values.brief) {
        console.log(`the shortest program that still does, after ${failure.cuts} cuts:`)
        console.log(JSON.stringify(failure.shortest, undefined, 1))
      }
      return false
    }
    add(tally)
    const done = seed - first + 1
    const isDue = done % 100 === 0 || performance.now() - toldAt > 20_000
    if (!values.quiet && isDue) {
      toldAt = performance.now()
      console.log(`${name}: ${done} of ${seeds} seeds: ${summary()}`)
    }
  }
  console.log(`${name}: all ${seeds} seeds of up to ${steps} steps hold: ${summary()}`)
  return true
}

// What a broken run has left behind is not waited for.
process.exit(chosen.map(check).includes(false) ? 1 : 0)
