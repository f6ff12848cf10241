import { parseArgs } from "node:util"
import fc from "fast-check"
import { program } from "./program.js"
import { simulate, type Tally } from "./run.js"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    steps: { type: "string", default: "300" },
    first: { type: "string", default: "1" },
    quiet: { type: "boolean", default: false },
    /** Do not look for the shortest program. */
    brief: { type: "boolean", default: false }
  }
})
const seeds = Number(values.seeds)
const steps = Number(values.steps)
const first = Number(values.first)

const total = { leases: 0, messages: 0, sockets: 0, seconds: 0 }
const add = (tally: Tally): void => {
  total.leases += tally.leases
  total.messages += tally.messages
  total.sockets += tally.sockets
  total.seconds += tally.seconds
}

const startedAt = performance.now()
const summary = (): string => {
  const took = ((performance.now() - startedAt) / 1000).toFixed(1)
  const { leases, messages, seconds, sockets } = total
  return `${leases} leases, ${messages} messages, ${sockets} sockets, ${Math.round(seconds)} simulated seconds in ${took} s`
}

for (let seed = first; seed < first + seeds; seed++) {
  const result = fc.check(
    fc.property(program(steps), (one) => add(simulate(one))),
    { seed, numRuns: 1, endOnFailure: values.brief, maxSkipsPerRun: 0, interruptAfterTimeLimit: 60_000 }
  )
  if (result.failed) {
    console.log(
      `seed ${seed} fails: ${result.errorInstance instanceof Error ? result.errorInstance.message : result.errorInstance}`
    )
    process.exitCode = 1
    if (values.brief) break
    console.log(`the shortest program that still does, after ${result.numShrinks} cuts:`)
    console.log(JSON.stringify(result.counterexample?.[0], undefined, 1))
    break
  }
  if (!values.quiet && (seed - first) % 100 === 99) console.log(`${seed - first + 1} of ${seeds} seeds: ${summary()}`)
}
if (process.exitCode !== 1) console.log(`all ${seeds} seeds of up to ${steps} steps hold: ${summary()}`)
