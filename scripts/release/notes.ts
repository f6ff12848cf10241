/** Notes about changes, one file each, and the changelog that they become part of. */

/** The headings of the changelog, in their order. */
export const kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"] as const
export type Kind = (typeof kinds)[number]

/** A version is the major of Effect, and behind it what both editions have in common. */
export interface Release {
  readonly minor: number
  readonly patch: number
}

export interface Note {
  readonly bump: "minor" | "patch"
  readonly kind: Kind
  /** The majors of Effect whose users it is for. */
  readonly editions: ReadonlyArray<"3" | "4">
  readonly text: string
}

const isOneOf = <const A extends string>(all: ReadonlyArray<A>, value: string): value is A =>
  (all as ReadonlyArray<string>).includes(value)

/** Reads a note. Throws an error that names the file and what is wrong. */
export const parse = (file: string, source: string): Note => {
  const fail = (message: string): never => {
    throw new Error(`${file}: ${message}`)
  }
  const [, head, body] = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(source) ?? []
  if (head === undefined || body === undefined) return fail("it has to begin with a head between two lines of ---")
  const fields = new Map(
    head.split("\n").map((line) => {
      const [, name = "", value = ""] =
        /^(\w+):\s*(.*?)\s*$/.exec(line) ?? fail(`not of the form "name: value": ${line}`)
      return [name, value] as const
    })
  )
  for (const name of fields.keys()) {
    if (!["bump", "kind", "editions"].includes(name))
      return fail(`the head has no ${name}; it has bump, kind, editions`)
  }
  const bump = fields.get("bump") ?? ""
  if (!isOneOf(["minor", "patch"], bump)) return fail("bump has to be minor or patch")
  const kind = fields.get("kind") ?? ""
  if (!isOneOf(kinds, kind)) return fail(`kind has to be one of ${kinds.join(", ")}`)
  const editions = (fields.get("editions") ?? "3, 4").split(/,\s*/)
  const known = editions.filter((edition) => isOneOf(["3", "4"], edition))
  if (known.length !== editions.length) return fail('editions has to be 3, 4, or "3, 4"')
  const text = body.trim()
  if (text === "") return fail("it says nothing")
  return { bump, kind, editions: known, text }
}

/** What follows a release with these notes. A major is Effect's, so what breaks a program is a minor, too. */
export const next = ({ minor, patch }: Release, notes: ReadonlyArray<Note>): Release =>
  notes.some(({ bump }) => bump === "minor") ? { minor: minor + 1, patch: 0 } : { minor, patch: patch + 1 }

const lineOf = ({ editions, text }: Note): string => {
  const [only, ...others] = editions
  const label = only !== undefined && others.length === 0 ? `Effect ${only}: ` : ""
  return `- ${label}${text.replaceAll("\n", "\n  ")}`
}

const unreleased = "## [Unreleased]\n"

/** The changelog with a release of its own for all that was not released, and for these notes. */
export const released = (
  changelog: string,
  notes: ReadonlyArray<Note>,
  { minor, patch }: Release,
  date: string
): string => {
  const start = changelog.indexOf(unreleased)
  if (start < 0) throw new Error(`the changelog has no ${unreleased.trim()}`)
  const from = start + unreleased.length
  const next = changelog.indexOf("\n## ", from)
  const section = changelog.slice(from, next < 0 ? undefined : next)
  const blocks = new Map(
    section
      .split(/^### /m)
      .slice(1)
      .map((block) => {
        const [title = "", ...lines] = block.split("\n")
        return [title.trim(), lines.join("\n").trim()] as const
      })
  )
  for (const note of notes) {
    blocks.set(note.kind, [blocks.get(note.kind) ?? "", lineOf(note)].filter((part) => part !== "").join("\n"))
  }
  const order = [...kinds, ...Array.from(blocks.keys()).filter((title) => !isOneOf(kinds, title))]
  const body = order.flatMap((title) => (blocks.has(title) ? [`### ${title}\n\n${blocks.get(title)}\n`] : []))
  const version = `${minor}.${patch}`
  const heading = `## [3.${version} and 4.${version}] - ${date}\n`
  const rest = next < 0 ? "" : changelog.slice(next)
  return `${changelog.slice(0, from)}\n${heading}\n${body.join("\n")}${rest}`
}

/** The text of a package.json with the version of a release. */
export const withVersion = (text: string, major: 3 | 4, { minor, patch }: Release): string =>
  text.replace(/"version": "[^"]*"/, `"version": "${major}.${minor}.${patch}"`)

/** The release that a version of edition 4 is, or comes before. */
export const releaseOf = (version: string): Release => {
  const [, minor, patch] = /^4\.(\d+)\.(\d+)/.exec(version) ?? []
  if (minor === undefined || patch === undefined) throw new Error(`not a version of edition 4: ${version}`)
  return { minor: Number(minor), patch: Number(patch) }
}
