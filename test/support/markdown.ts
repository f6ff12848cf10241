/** What the tests read in a Markdown file. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url))

export const read = (file: string): string => readFileSync(resolve(root, file), "utf8")

/** Every page below a directory, by its path from the root. */
export const pagesIn = (directory: string): ReadonlyArray<string> =>
  readdirSync(resolve(root, directory), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => `${directory}/${file.replaceAll("\\", "/")}`)
    .sort()

/** A fenced block. */
export interface Fence {
  readonly language: string
  readonly code: string
  /** The line of the file that its first line is. */
  readonly line: number
  /** The HTML comments right above it, without their brackets. */
  readonly comments: ReadonlyArray<string>
  /** The major of Effect that it is for, if the paragraph right above it begins with `**Effect 3**` or `**Effect 4**`. */
  readonly edition: 3 | 4 | undefined
  /** Whether nothing but a label for an edition stands between it and the fence before. */
  readonly follows: boolean
}

/** The edition that a paragraph is a label for. */
const labelOf = (line: string): 3 | 4 | undefined => {
  const [, major] = /^\*\*Effect ([34])\*\*/.exec(line) ?? []
  return major === undefined ? undefined : major === "3" ? 3 : 4
}

/** The fenced blocks of a page, and its text without them and without comments. */
export const parse = (markdown: string): { readonly fences: ReadonlyArray<Fence>; readonly prose: string } => {
  const fences: Array<Fence> = []
  const prose: Array<string> = []
  const lines = markdown.split("\n")
  let comments: Array<string> = []
  let edition: 3 | 4 | undefined
  let follows = false
  let isParagraph = false
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? ""
    const fence = /^( *)(`{3,})([\w-]*)\s*$/.exec(line)
    if (fence !== null) {
      const [, indent = "", ticks = "", language = ""] = fence
      const code: Array<string> = []
      const start = index + 1
      for (index = start; index < lines.length && lines[index]?.trim() !== ticks; index++) {
        code.push((lines[index] ?? "").slice(indent.length))
      }
      fences.push({
        language,
        code: code.map((each) => `${each}\n`).join(""),
        line: start + 1,
        comments,
        edition,
        follows
      })
      comments = []
      // What a snippet prints is for its edition, too.
      if (language !== "ts") edition = undefined
      follows = true
      isParagraph = false
    } else if (line.startsWith("<!--")) {
      const comment: Array<string> = [line]
      while (!comment.at(-1)?.trimEnd().endsWith("-->") && index + 1 < lines.length) comment.push(lines[++index] ?? "")
      comments.push(comment.join("\n").replace(/^<!--\s*|\s*-->\s*$/g, ""))
    } else {
      prose.push(line)
      if (line.trim() === "") {
        isParagraph = false
        continue
      }
      const isLabel = !isParagraph && labelOf(line) !== undefined
      if (!isParagraph) edition = labelOf(line)
      isParagraph = true
      comments = []
      if (!isLabel) follows = false
    }
  }
  return { fences, prose: prose.join("\n") }
}

const cellsOf = (row: string): ReadonlyArray<string> =>
  row
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim())

/** The tables of a page: the header of each, and its rows. */
export const tablesIn = (
  prose: string
): ReadonlyArray<{ readonly header: ReadonlyArray<string>; readonly rows: ReadonlyArray<ReadonlyArray<string>> }> =>
  Array.from(prose.matchAll(/^(\|.*\|)\n\|[-:| ]+\|\n((?:\|.*\|(?:\n|$))*)/gm), ([, header = "", rows = ""]) => ({
    header: cellsOf(header),
    rows: rows.trimEnd().split("\n").map(cellsOf)
  }))

/**
 * The rows of the table below a heading of the second level, each a list of cells. A table may be in parts that have the
 * same header.
 */
export const tableBelow = (markdown: string, heading: string): ReadonlyArray<ReadonlyArray<string>> => {
  const section = markdown.split(/^## /m).find((section) => section.startsWith(`${heading}\n`)) ?? ""
  const [first, ...others] = tablesIn(section)
  const isPart = ({ header }: { readonly header: ReadonlyArray<string> }) => header.join() === first?.header.join()
  return [first, ...others.filter(isPart)].flatMap((part) => part?.rows ?? [])
}

/** What may stand behind `#` in a link to a page. */
export const anchorsIn = (prose: string): ReadonlySet<string> => {
  const anchors = new Set<string>()
  for (const [, title = ""] of prose.matchAll(/^#+ (.+)$/gm)) {
    const name = title
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-")
    let anchor = name
    for (let again = 1; anchors.has(anchor); again++) anchor = `${name}-${again}`
    anchors.add(anchor)
  }
  for (const [, id = ""] of prose.matchAll(/<a id="([^"]+)">/g)) anchors.add(id)
  return anchors
}

/** The links of a page that lead nowhere. */
export const deadLinksIn = (file: string): ReadonlyArray<string> => {
  const { prose } = parse(read(file))
  const targets = Array.from(prose.replace(/`[^`\n]*`/g, "").matchAll(/\]\(([^)\s]+)\)/g), ([, target = ""]) => target)
  return targets.filter((target) => {
    if (/^[a-z]+:/.test(target)) return false
    const [path = "", anchor] = target.split("#")
    const absolute = path === "" ? resolve(root, file) : resolve(root, file, "..", path)
    if (!existsSync(absolute)) return true
    return anchor !== undefined && !anchorsIn(parse(read(relative(root, absolute))).prose).has(anchor)
  })
}

/** The commands `npm run …` of a page that do not exist. */
export const deadScriptsIn = (file: string): ReadonlyArray<string> => {
  const { scripts } = JSON.parse(read("package.json"))
  return Array.from(read(file).matchAll(/npm run ([\w:]+)/g), ([, script = ""]) => script).filter(
    (script) => !(script in scripts)
  )
}

export interface Source {
  readonly file: string
  /** For which majors of Effect the code is: for both if both files of an example have it. */
  readonly editions: ReadonlyArray<3 | 4>
  /** The whole file, or the part between `// #region <name>` and `// #endregion` that is asked for by `#<name>`. */
  readonly code: string | undefined
}

/** The file that a snippet shows, if it is one. */
export const sourceOf = ({ comments }: Fence): Source | undefined => {
  const comment = comments.find((comment) => /^examples\/\S+\.ts(#\S+)?$/.test(comment))
  if (comment === undefined) return undefined
  const [file = "", region] = comment.split("#")
  const code = partOf(file, region)
  const [, own] = /\.([34])\.ts$/.exec(file) ?? []
  if (own === undefined) return { file, code, editions: [3, 4] }
  const twin = partOf(file.replace(/[34]\.ts$/, own === "3" ? "4.ts" : "3.ts"), region)
  return { file, code, editions: twin === code ? [3, 4] : own === "3" ? [3] : [4] }
}

/** The majors of Effect that a fence is shown for. */
export const editionsOf = ({ edition }: Fence): ReadonlyArray<3 | 4> => (edition === undefined ? [3, 4] : [edition])

const partOf = (file: string, region: string | undefined): string | undefined => {
  const lines = read(file).split("\n")
  if (region === undefined) return lines.join("\n")
  const from = lines.findIndex((line) => line.trim() === `// #region ${region}`)
  const to = lines.findIndex((line, index) => index > from && line.trim() === "// #endregion")
  return from < 0 || to < 0 ? undefined : `${lines.slice(from + 1, to).join("\n")}\n`
}
