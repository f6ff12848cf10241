import fc from "fast-check"
import { program as webSocketProgram } from "./program.js"
import { hasEngine } from "./quotaEngine.js"
import { failedOnce, type History, inMemory, promises } from "./quotaHistories.js"
import { program as quotaProgram } from "./quotaProgram.js"
import { simulate as simulateQuota } from "./quotaRun.js"
import { program as requestsProgram } from "./requestsProgram.js"
import { simulate as simulateRequests } from "./requestsRun.js"
import { program as resourceProgram } from "./resourceProgram.js"
import { simulate as simulateResource } from "./resourceRun.js"
import { simulate as simulateWebSocket } from "./run.js"

/** What a program has done, by name. */
export type Tally = { readonly [what: string]: number }

export interface Result {
  readonly tally: Tally
  /** What was broken, and the shortest program found that does. */
  readonly failure: { readonly message: string; readonly cuts: number; readonly shortest: unknown } | undefined
}

/** A pool that can be simulated. */
export interface Kind {
  readonly name: string
  /** Runs the programs of a seed. Unless `brief`, it looks for the shortest one that fails. */
  readonly run: (options: Options) => Result
  /** Runs what comes before any random program; says what was broken. */
  readonly first?: () => string | undefined
}

interface Options {
  readonly seed: number
  readonly steps: number
  readonly programs: number
  readonly brief?: boolean
}

const kind = <P>(
  name: string,
  programs: (steps: number) => fc.Arbitrary<P>,
  simulate: (program: P) => Tally
): Kind => ({
  name,
  run: ({ brief = false, programs: numRuns, seed, steps }) => {
    const total: { [what: string]: number } = {}
    const property = fc.property(programs(steps), (program) => {
      for (const [what, count] of Object.entries(simulate(program))) total[what] = (total[what] ?? 0) + count
    })
    const result = fc.check(property, {
      seed,
      numRuns,
      endOnFailure: brief,
      maxSkipsPerRun: 0,
      interruptAfterTimeLimit: 60_000
    })
    if (!result.failed) return { tally: total, failure: undefined }
    const error = result.errorInstance
    const message = error instanceof Error ? error.message : String(error)
    return { tally: total, failure: { message, cuts: result.numShrinks, shortest: result.counterexample?.[0] } }
  }
})

const histories = (those: ReadonlyArray<History>) => (): string | undefined => {
  for (const { name, program } of those) {
    try {
      simulateQuota(program)
    } catch (error) {
      return `${name}: ${String(error)}`
    }
  }
  return undefined
}

export const kinds: ReadonlyArray<Kind> = [
  kind("websocket", webSocketProgram, simulateWebSocket),
  kind("resource", resourceProgram, simulateResource),
  kind("requests", requestsProgram, simulateRequests),
  { ...kind("quota", quotaProgram("memory"), simulateQuota), first: histories(inMemory) },
  // Without an engine on this machine there is nothing to ask.
  ...(hasEngine
    ? [{ ...kind("engine", quotaProgram("redis"), simulateQuota), first: histories([...failedOnce, ...promises]) }]
    : [])
]
