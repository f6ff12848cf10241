/** The monitor's page, as it is in the package. */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "#support/vitest"
import { makeAssets } from "../../scripts/monitor/assets.js"

describe("src/monitor/assets.ts", () => {
  it("is what `npm run monitor:assets` writes", async () => {
    const committed = readFileSync(new URL("../../src/monitor/assets.ts", import.meta.url), "utf8")
    assert.isTrue(committed === (await makeAssets()), "it is stale: npm run monitor:assets")
  })
})
