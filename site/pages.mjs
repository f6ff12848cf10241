/**
 * Gathers the pages of the site from the Markdown of the repository, which stays the only source: README.md becomes
 * index.md, and what the site does not have is linked in the repository. Writes llms.txt, too, which lists all pages for
 * language models, and llms-full.txt, which has their text.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, posix } from "node:path"
import { fileURLToPath } from "node:url"

const at = (file) => fileURLToPath(new URL(file, import.meta.url))
const inRoot = (file) => at(`../${file}`)

const { repository } = JSON.parse(readFileSync(inRoot("package.json"), "utf8"))
const online = repository.url.replace(/^git\+|\.git$/g, "")

const below = (folder) =>
  readdirSync(inRoot(folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => posix.join(entry.parentPath ?? entry.path, entry.name).slice(inRoot("").length))
const files = below("docs").sort()
const pages = [
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "CHANGELOG.md",
  "CODE_OF_CONDUCT.md",
  ...files.filter((file) => file.endsWith(".md"))
]
const pictures = files.filter((file) => /\.(svg|png)$/.test(file))

const content = at("content/")
rmSync(content, { recursive: true, force: true })
const write = (file, text) => {
  mkdirSync(dirname(content + file), { recursive: true })
  writeFileSync(content + file, text)
}

const renamed = (page) => page.replace(/README\.md$/, "index.md")

/** The links of a page, as they are on the site. */
const linked = (page, text) =>
  text.replace(/\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)/g, (_, target, anchor = "") => {
    const file = posix.join(dirname(page), target)
    if (pages.includes(file)) return `](${renamed(target)}${anchor})`
    return pictures.includes(file)
      ? `](${target.startsWith(".") ? target : `./${target}`})`
      : `](${online}/blob/main/${file})`
  })

const titleOf = (text) => /^# (.+)$/m.exec(text)?.[1] ?? ""
const summaryOf = (text) =>
  (text.split(/^# .+$/m)[1] ?? "")
    .split("\n\n")
    .map((part) => part.trim())
    .find((part) => /^[A-Z`[]/.test(part))
    ?.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll("\n", " ")
    .match(/^.*?[.:](?= |$)/)?.[0]
    .replace(/:$/, ".") ?? ""

const list = []
const full = []
for (const page of pages) {
  const text = readFileSync(inRoot(page), "utf8")
  write(renamed(page), linked(page, text))
  list.push(`- [${titleOf(text)}](/${renamed(page).replace(/(index)?\.md$/, "")}): ${summaryOf(text)}`)
  full.push(text.replace(/^<!--[\s\S]*?-->\n/gm, ""))
}
for (const picture of pictures) cpSync(inRoot(picture), content + picture)
write(
  "public/llms.txt",
  `# effect-websocket-pool\n\n> A WebSocket connection pool for Effect\n\n## Pages\n\n${list.join("\n")}\n`
)
write("public/llms-full.txt", full.join("\n\n"))
console.log(`${pages.length} pages`)
