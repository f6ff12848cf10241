/** The page about performance has a place for every case of the benchmarks. */
import { readdirSync } from "node:fs"
import { resolve } from "node:path"
import { assert, describe, it } from "#support/vitest"
import { read, root } from "../support/markdown.js"

const page = read("docs/performance.md")

/** What is written there by other commands, or is no case. */
const others = ["surroundings", "profile", "allocations"]

/** Those of the edition for Effect 4 are marked. */
const marked = (name: string): string => `${name}-4`

/** By the name that it has in the sources. */
const cases = new Map(
  readdirSync(resolve(root, "bench/cases")).flatMap((file) =>
    Array.from(
      read(`bench/cases/${file}`).matchAll(/^export const (\w+): Case = \{\s*name: "([\w-]+)"/gm),
      ([, variable, name]) => [variable!, name!] as const
    )
  )
)

/** What an edition runs, by its names in the sources. */
const runBy = (edition: 3 | 4): ReadonlyArray<string> =>
  (/ReadonlyArray<Case> = \[([^\]]+)\]/.exec(read(`bench/cases.${edition}.ts`))?.[1] ?? "")
    .split(",")
    .map((name) => name.trim())

describe("the page about performance", () => {
  it("has one fence for each case of each edition, and no other", () => {
    const fences = Array.from(page.matchAll(/^<!-- bench: ([\w-]+) -->$/gm), ([, name]) => name)
    const ofFour = ["surroundings", ...runBy(4).map((name) => cases.get(name) ?? name)]
    assert.sameMembers(fences, [...cases.values(), ...others, ...ofFour.map(marked)])
  })

  it("has a closed fence each", () => {
    const ends = Array.from(page.matchAll(/^<!-- (bench: [\w-]+|end of bench) -->$/gm), ([, what]) => what)
    for (const [index, what] of ends.entries()) assert.strictEqual(what === "end of bench", index % 2 === 1, what)
    assert.strictEqual(ends.length % 2, 0)
  })

  it("is about all cases that are run", () => {
    assert.sameMembers([...runBy(3)], [...cases.keys()])
  })
})
