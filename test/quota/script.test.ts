/** The script as a text. What it does is tested against an engine. */
import { createHash } from "node:crypto"
import { assert, describe, it } from "#support/vitest"
import { script, sha } from "../../src/quota/redis/script.js"

describe("the script", () => {
  it("has the name under which the engine finds it", () => {
    assert.strictEqual(createHash("sha1").update(script).digest("hex"), sha)
  })

  it("has no escapes, so that it is what is written", () => {
    assert.notInclude(script, "\\")
  })
})
