/** The page about performance has a place for every case of the benchmarks. */
import { readdirSync } from "node:fs"
import { resolve } from "node:path"
import { assert, describe, it } from "#support/vitest"
import { read, root } from "../support/markdown.js"

const page = read("docs/performance.md")

/** What is written there by other commands, or is no case. */
const others = ["surroundings", "profile", "allocations"]

/** By the name that it has in the sources. */
const cases = new Map(
  readdirSync(resolve(root, "bench/cases")).flatMap((file) =>
    Array.from(
      read(`bench/cases/${file}`).matchAll(/^export const (\w+): Case = \{\s*name: "([\w-]+)"/gm),
      ([, variable, name]) => [variable!, name!] as const
    )
  )
)

describe("the page about performance", () => {
  it("has one fence for each case, and no other", () => {
    const fences = Array.from(page.matchAll(/^<!-- bench: ([\w-]+) -->$/gm), ([, name]) => name)
    assert.sameMembers(fences, [...cases.values(), ...others])
  })

  it("has a closed fence each", () => {
    const ends = Array.from(page.matchAll(/^<!-- (bench: [\w-]+|end of bench) -->$/gm), ([, what]) => what)
    for (const [index, what] of ends.entries()) assert.strictEqual(what === "end of bench", index % 2 === 1, what)
    assert.strictEqual(ends.length % 2, 0)
  })

  it("is about all cases that are run", () => {
    const list = /ReadonlyArray<Case> = \[([^\]]+)\]/
    const run = list
      .exec(read("bench/cases.3.ts"))?.[1]
      ?.split(",")
      .map((name) => name.trim())
    assert.sameMembers(run ?? [], [...cases.keys()])
    for (const name of list.exec(read("bench/cases.4.ts"))?.[1]?.split(",") ?? [""])
      assert.isTrue(cases.has(name.trim()), name)
  })
})
