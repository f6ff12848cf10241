/** What a release is made of: notes, versions, and the address of the repository. */
import { readdirSync } from "node:fs"
import { resolve } from "node:path"
import { assert, describe, it } from "#support/vitest"
import { fields } from "../../scripts/release/address.js"
import { type Note, next, parse, released, releaseOf, withVersion } from "../../scripts/release/notes.js"
import { read, root } from "../support/markdown.js"

const note = (part: Partial<Note> = {}): Note => ({
  bump: "patch",
  kind: "Fixed",
  editions: ["3", "4"],
  text: "It works.",
  ...part
})

describe("a note", () => {
  it("has a head and a text", () => {
    assert.deepStrictEqual(parse("x.md", "---\nbump: minor\nkind: Added\neditions: 4\n---\n\nMore\nthan before.\n"), {
      bump: "minor",
      kind: "Added",
      editions: ["4"],
      text: "More\nthan before."
    })
  })

  it("is for both editions unless it says otherwise", () => {
    assert.deepStrictEqual(parse("x.md", "---\nbump: patch\nkind: Fixed\n---\nA.").editions, ["3", "4"])
  })

  for (const [what, source, message] of [
    ["no head", "A fix.", "has to begin with a head"],
    ["another bump", "---\nbump: major\nkind: Fixed\n---\nA.", "bump has to be minor or patch"],
    ["another kind", "---\nbump: patch\nkind: Fix\n---\nA.", "kind has to be one of"],
    ["another edition", "---\nbump: patch\nkind: Fixed\neditions: 5\n---\nA.", "editions has to be"],
    ["another field", "---\nbump: patch\nkind: Fixed\nby: me\n---\nA.", "the head has no by"],
    ["no text", "---\nbump: patch\nkind: Fixed\n---\n\n", "it says nothing"]
  ] as const) {
    it(`is refused with ${what}, and the file is named`, () => {
      assert.throws(() => parse("changes/x.md", source), new RegExp(`^changes/x\\.md: .*${message}`))
    })
  }

  it("in changes/ is one of these", () => {
    for (const file of readdirSync(resolve(root, "changes")).filter((file) => file !== "README.md")) {
      parse(`changes/${file}`, read(`changes/${file}`))
    }
  })
})

describe("a release", () => {
  it("is a patch unless a note wants a minor", () => {
    assert.deepStrictEqual(next({ minor: 2, patch: 1 }, [note()]), { minor: 2, patch: 2 })
    assert.deepStrictEqual(next({ minor: 2, patch: 1 }, [note(), note({ bump: "minor" })]), { minor: 3, patch: 0 })
  })

  const changelog =
    "# Changelog\n\n## [Unreleased]\n\n### Changed\n\n- Old.\n\n### Fixed\n\n- Bug.\n\n## [0.1.0] - 2025-01-01\n\n- First.\n"

  it("takes what is unreleased and the notes, by kind, and leaves room for what comes next", () => {
    const notes = [note({ text: "One\ntwo." }), note({ kind: "Added", editions: ["4"], text: "New." })]
    assert.strictEqual(
      released(changelog, notes, { minor: 1, patch: 0 }, "2026-01-02"),
      "# Changelog\n\n## [Unreleased]\n\n## [3.1.0 and 4.1.0] - 2026-01-02\n\n### Added\n\n- Effect 4: New.\n\n" +
        "### Changed\n\n- Old.\n\n### Fixed\n\n- Bug.\n- One\n  two.\n\n## [0.1.0] - 2025-01-01\n\n- First.\n"
    )
  })

  it("does the same to the changelog that there is, and loses nothing of it", () => {
    const text = read("CHANGELOG.md")
    const after = released(text, [note()], { minor: 0, patch: 0 }, "2026-01-02")
    for (const line of text.split("\n")) assert.include(after, line)
    assert.include(after, "- It works.")
  })

  it("has one minor and patch for both editions", () => {
    const release = releaseOf("4.3.1")
    assert.strictEqual(withVersion('{ "version": "0.1.0" }', 3, release), '{ "version": "3.3.1" }')
    assert.strictEqual(withVersion('{ "version": "4.3.1-next" }', 4, release), '{ "version": "4.3.1" }')
    assert.throws(() => releaseOf("3.0.0"), /not a version of edition 4/)
  })
})

describe("package.json", () => {
  for (const file of ["package.json", "editions/4/package.json"]) {
    it(`of ${file} leads to the repository`, () => assert.deepInclude(JSON.parse(read(file)), fields))
  }
})
