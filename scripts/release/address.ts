/**
 * Where the repository is. This is the one place that knows: `npm run address` writes it into package.json of both
 * editions, and the tests fail while it is not there.
 */
export const repository = "https://github.com/OWNER/effect-websocket-pool"

/** The fields of package.json that lead there. npm shows them, and follows the README's relative links from there. */
export const fields = {
  repository: { type: "git", url: `git+${repository}.git` },
  homepage: `${repository}#readme`,
  bugs: { url: `${repository}/issues` }
} as const

/** The text of a package.json with these fields, behind `license`. */
export const withAddress = (text: string): string => {
  const manifest: Record<string, unknown> = JSON.parse(text)
  const entries = Object.entries(manifest).filter(([name]) => !(name in fields))
  const at = entries.findIndex(([name]) => name === "license") + 1
  return `${JSON.stringify(Object.fromEntries([...entries.slice(0, at), ...Object.entries(fields), ...entries.slice(at)]), null, 2)}\n`
}
