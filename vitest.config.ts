import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const src = (file: string) => fileURLToPath(new URL(`./src/${file}`, import.meta.url))

/** Where `.ci/run` wants the results as JSON, besides the usual output; unset everywhere else. */
const report = process.env.VITEST_JSON

export default defineConfig({
  resolve: {
    // The tests import the package by its name, as its users do, and get its sources.
    alias: [
      { find: /^effect-websocket-pool$/, replacement: src("index.ts") },
      { find: /^effect-websocket-pool\/node$/, replacement: src("node.ts") },
      { find: /^effect-websocket-pool\/(.+)$/, replacement: src("$1.ts") }
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 20_000,
    ...(report ? { reporters: ["default", ["json", { outputFile: report }]] } : {}),
    coverage: {
      provider: "v8",
      include: ["src/**"],
      exclude: ["src/monitor/page/**"],
      reporter: ["text", "json-summary"]
    }
  }
})
