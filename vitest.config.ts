import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { projects } from "./test/projects.js"

const src = (file: string) => fileURLToPath(new URL(`./src/${file}`, import.meta.url))

/** `imports` of package.json leads to what is compiled; here it is the sources. */
const shims = Object.entries<string>(JSON.parse(readFileSync(src("../package.json"), "utf8")).imports)
  .filter(([name, file]) => name.startsWith("#effect/") && file.startsWith("./dist/"))
  .map(([name, file]) => [name, file.replace(/^\.\/dist\/(.*)\.js$/, "$1.ts")] as const)

/** Where `.ci/run` wants the results as JSON, besides the usual output; unset everywhere else. */
const report = process.env.VITEST_JSON

export default defineConfig({
  resolve: {
    // The tests import the package by its name, as its users do, and get its sources.
    alias: [
      { find: /^#dialect$/, replacement: src("effect/3/dialect.ts") },
      { find: /^#support\/(.+)$/, replacement: src("../test/support/$1.3.ts") },
      { find: /^#examples\/(.+)$/, replacement: src("../examples/$1.3.ts") },
      { find: /^#effect\/testing\/(.+)$/, replacement: src("../test/support/effect3/testing/$1.ts") },
      { find: /^#edition\/(.+)$/, replacement: src("$1.3.ts") },
      ...shims.map(([name, file]) => ({ find: name, replacement: src(file) })),
      { find: /^effect-websocket-pool$/, replacement: src("index.ts") },
      { find: /^effect-websocket-pool\/node$/, replacement: src("node.ts") },
      { find: /^effect-websocket-pool\/(.+)$/, replacement: src("$1.ts") }
    ]
  },
  test: {
    projects: projects("test/**/*.4.test.ts"),
    setupFiles: [src("../test/setup.ts")],
    testTimeout: 120_000,
    // A project cannot say that a thread is kept for the next file: only this is asked.
    poolOptions: { threads: { isolate: false } },
    // What a pool logs matters where something fails.
    silent: "passed-only",
    // Most of the time they wait for timers: half of two cores would idle.
    minWorkers: 3,
    maxWorkers: 3,
    ...(report ? { reporters: ["default", ["json", { outputFile: report }]] } : {}),
    coverage: {
      provider: "v8",
      include: ["src/**"],
      exclude: ["src/monitor/page/**"],
      reporter: ["text", "json-summary"]
    }
  }
})
