import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { defineConfig, type Plugin } from "vitest/config"
import { projects } from "../../test/projects.js"

const root = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url))
const here = (file: string) => fileURLToPath(new URL(file, import.meta.url))

/** Where `.ci/run` wants the results as JSON, besides the usual output; unset everywhere else. */
const report = process.env.VITEST_JSON

/** Sources and tests lie outside of this folder. What they import by name is what is installed here. */
const installedHere: Plugin = {
  name: "installed-here",
  enforce: "pre",
  resolveId(source, importer) {
    const isByName = /^[@\w]/.test(source) && !source.startsWith("node:")
    if (!isByName || importer === undefined || importer.includes("/node_modules/")) return undefined
    const [scope, name] = source.split("/")
    const packageName = scope?.startsWith("@") ? `${scope}/${name}` : scope
    return existsSync(here(`node_modules/${packageName}`))
      ? this.resolve(source, here("package.json"), { skipSelf: true })
      : undefined
  }
}

export default defineConfig({
  root: root(""),
  plugins: [installedHere],
  resolve: {
    alias: [
      { find: /^#dialect$/, replacement: root("src/effect/4/dialect.ts") },
      { find: /^#edition\/(.+)$/, replacement: root("src/$1.4.ts") },
      { find: /^#support\/(.+)$/, replacement: root("test/support/$1.4.ts") },
      { find: /^#examples\/(.+)$/, replacement: root("examples/$1.4.ts") },
      { find: /^#effect\/testing\/(.+)$/, replacement: root("test/support/effect4/testing/$1.ts") },
      { find: /^#effect\/(.+)$/, replacement: "effect/$1" },
      { find: /^effect-websocket-pool$/, replacement: root("src/index.ts") },
      { find: /^effect-websocket-pool\/node$/, replacement: root("src/node.ts") },
      { find: /^effect-websocket-pool\/(.+)$/, replacement: root("src/$1.ts") }
    ]
  },
  test: {
    projects: projects("test/**/*.3.test.ts"),
    setupFiles: [root("test/setup.ts")],
    testTimeout: 120_000,
    // What a pool logs matters where something fails.
    silent: "passed-only",
    // Most of the time they wait for timers: half of two cores would idle.
    maxWorkers: 3,
    // For the programs that tests start.
    env: { TSX_TSCONFIG_PATH: here("tsconfig.tsx.json") },
    ...(report ? { reporters: ["default", ["json", { outputFile: report }]] } : {})
  }
})
