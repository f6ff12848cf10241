/** What can be imported from the package. */
import { readdirSync, readFileSync } from "node:fs"
import { assert, describe, it } from "#support/vitest"

describe("exports", () => {
  it("list every public module, and nothing else", () => {
    const { exports } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))
    const modules = readdirSync(new URL("../../src", import.meta.url))
      .filter((file) => file.endsWith(".ts"))
      .map((file) => file.slice(0, -".ts".length))
    const expected = modules.map((module) => {
      const files = { types: `./dist/${module}.d.ts`, default: `./dist/${module}.js` }
      return [module === "index" ? "." : `./${module}`, files]
    })
    assert.deepStrictEqual(exports, { ...Object.fromEntries(expected), "./package.json": "./package.json" })
  })
})
