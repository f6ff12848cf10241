/** What the docs say is what there is. */
import { readdirSync } from "node:fs"
import { resolve } from "node:path"
import * as main from "effect-websocket-pool"
import * as node from "effect-websocket-pool/node"
import { edition } from "#support/edition"
import { assert, describe, it } from "#support/vitest"
import { makeReference } from "../../scripts/docs/reference.js"
import { transitions } from "../../src/core/slot.js"
import {
  anchorsIn,
  deadLinksIn,
  deadScriptsIn,
  editionsOf,
  pagesIn,
  parse,
  read,
  root,
  sourceOf,
  tableBelow,
  tablesIn
} from "../support/markdown.js"
import { examplesOf, nameOf, problemsOf, run, snippetsOfPage } from "../support/snippets.js"

const reference = pagesIn("docs").filter((file) => file.startsWith("docs/api/"))
const pages = [...pagesIn("docs").filter((file) => !reference.includes(file)), "CONTRIBUTING.md"]
const sources = readdirSync(resolve(root, "src"), { recursive: true, encoding: "utf8" })
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => /^\w+\.ts$/.test(file) || file.endsWith(`.${edition}.ts`))
  .map((file) => `src/${file}`)

const snippets = [...pages.flatMap(snippetsOfPage), ...sources.flatMap(examplesOf)]

describe("snippets", () => {
  it("all compile", { timeout: 300_000 }, async () => {
    assert.deepStrictEqual(await problemsOf(snippets), [])
  })

  for (const snippet of snippets.filter(({ kind }) => kind === "run")) {
    it(`${nameOf(snippet)} runs`, async () => {
      const logged = await run(snippet)
      if (snippet.output !== undefined) assert.strictEqual(logged, snippet.output)
    })
  }

  for (const page of pages) {
    for (const fence of parse(read(page)).fences) {
      const source = sourceOf(fence)
      if (source === undefined) continue
      it(`${page}:${fence.line} is in ${source.file}, word for word`, () => {
        assert.strictEqual(fence.code, source.code)
        assert.deepStrictEqual(editionsOf(fence), source.editions)
      })
    }
  }
})

for (const snippet of snippets.filter(({ kind }) => kind === "test")) {
  describe(`the tests of ${nameOf(snippet)}`, async () => {
    await run(snippet)
  })
}

describe("the API reference", () => {
  it("is what `npm run docs` writes", () => {
    const pages = makeReference()
    assert.sameMembers(
      reference.map((file) => file.slice("docs/api/".length)),
      [...pages.keys()]
    )
    for (const [name, text] of pages) assert.strictEqual(read(`docs/api/${name}`), text, `${name}: npm run docs`)
  })

  it("has every export", () => {
    for (const [module, exports] of Object.entries({ ...main, ...node })) {
      const anchors = anchorsIn(parse(read(`docs/api/${module}.md`)).prose)
      for (const name of Object.keys(exports)) {
        const anchor = name.toLowerCase()
        assert.isTrue(anchors.has(anchor) || anchors.has(`${anchor}-class`), `${module}.${name}`)
      }
    }
  })
})

describe("tables", () => {
  const tables = pages.flatMap((page) => tablesIn(parse(read(page)).prose).map((table) => ({ page, ...table })))

  it("say the same of the options as the README", () => {
    const defaults = new Map(tableBelow(read("README.md"), "Options").map(([option, value]) => [option, value]))
    for (const { header, page, rows } of tables) {
      if (header[0] !== "option" || header[1] !== "default") continue
      for (const [option, value] of rows) assert.strictEqual(value, defaults.get(option), `${page}: ${option}`)
    }
  })

  it("have every change of state, and no other", () => {
    const told = tables.find(({ header, page }) => page === "CONTRIBUTING.md" && header[0] === "state")?.rows
    const known = Object.entries(transitions).flatMap(([state, events]) =>
      Object.entries(events).map(([event, next]) => [state, event, next].map((name) => `\`${name}\``))
    )
    assert.sameDeepMembers([...(told ?? [])], known)
  })

  it("have every reason for closing a connection", () => {
    /** The compiler sees to it that none is missing. */
    const reasons: Readonly<Record<main.PoolEvent.CloseReason, true>> = {
      Idle: true,
      Expired: true,
      Unhealthy: true,
      Dirty: true,
      DrainTimeout: true,
      Discarded: true,
      Remote: true,
      Refreshed: true,
      Evicted: true,
      Reclaimed: true,
      Shutdown: true,
      Protocol: true,
      Closed: true
    }
    const told = tables.find(({ header, page }) => page.endsWith("troubleshooting.md") && header[0] === "reason")?.rows
    assert.sameMembers(
      told?.map(([reason]) => reason) ?? [],
      Object.keys(reasons).map((reason) => `\`"${reason}"\``)
    )
  })

  it("have every file of every room", () => {
    const told = tables.find(({ header }) => header[0]?.includes("room"))?.rows ?? []
    const files = told.flatMap(([room = "", names = ""]) => {
      const folder = /`([\w/]+)`/.exec(room)?.[1] ?? ""
      return Array.from(names.matchAll(/`(\w+)`/g), ([, name]) => `${folder}/${name}.ts`)
    })
    const isRoom = (file: string): boolean =>
      file.endsWith(".ts") && file.includes("/") && !/^monitor\/page\/|^effect\/3\/([a-z]+\/)?[A-Z]/.test(file)
    // A file of each edition is one concept.
    const concept = (file: string): string => file.replace(/\.[34]\.ts$/, ".ts").replace(/^effect\/[34]\//, "effect/")
    const there = readdirSync(resolve(root, "src"), { recursive: true, encoding: "utf8" })
    const concepts = there
      .map((file) => file.replaceAll("\\", "/"))
      .filter(isRoom)
      .map(concept)
    assert.sameMembers(files, [...new Set(concepts)])
  })
})

describe("references", () => {
  it("lead from the index to every page", () => {
    const index = read("docs/README.md")
    for (const page of pagesIn("docs").filter((page) => !page.startsWith("docs/api/") && page !== "docs/README.md")) {
      assert.include(index, `](${page.slice("docs/".length)})`)
    }
  })

  it("lead from the site's sidebar to every page", () => {
    const config = read("site/.vitepress/config.mts")
    for (const page of pagesIn("docs").filter((page) => !page.startsWith("docs/api/") && page !== "docs/README.md")) {
      assert.include(config, `, "${page.slice("docs/".length, -".md".length)}")`)
    }
  })

  for (const page of [...pages, ...reference]) {
    it(`every link of ${page} leads somewhere`, () => assert.deepStrictEqual(deadLinksIn(page), []))
    it(`every script that ${page} names exists`, () => assert.deepStrictEqual(deadScriptsIn(page), []))
  }
})
