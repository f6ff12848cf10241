/** What docs/recipes/real-servers.md shows is what is run here. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { assert, describe, it } from "#support/vitest"

const root = new URL("../../", import.meta.url)
const read = (file: string): string => readFileSync(new URL(file, root), "utf8")
const recipe = read("docs/recipes/real-servers.md")

const fences = Array.from(
  recipe.matchAll(/(?:<!-- (examples\/servers\/[\w.-]+\.ts)#(\w+) -->\n)?^```ts\n([\s\S]*?)^```$/gm)
)

const region = (source: string, name: string): string =>
  new RegExp(`^// #region ${name}\\n([\\s\\S]*?)^// #endregion$`, "m").exec(source)?.[1] ?? `no region ${name}`

describe("the recipe for real servers", () => {
  for (const [, file, name, code] of fences) {
    it(`shows ${name} of ${file} word for word`, () => {
      if (file === undefined || name === undefined) return assert.fail("a snippet names no file")
      assert.strictEqual(code, region(read(file), name))
    })
  }

  it("names every example", () => {
    for (const file of readdirSync(new URL("examples/servers", root)))
      assert.include(recipe, `examples/servers/${file}`)
  })

  it("links to what there is", () => {
    for (const [, target = ""] of recipe.matchAll(/\]\(([^)#]+)\)/g)) {
      if (!/^https?:/.test(target)) assert.isTrue(existsSync(new URL(target, new URL("docs/recipes/", root))), target)
    }
  })
})
