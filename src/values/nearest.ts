/** The name that was probably meant, if one is near enough. `translated` knows names from elsewhere, in plain letters. */
export const nearest = (
  name: string,
  known: ReadonlyArray<string>,
  translated: ReadonlyMap<string, string> = new Map()
): string | undefined => {
  const plain = plainly(name)
  const translation = translated.get(plain)
  if (translation !== undefined && known.includes(translation)) return translation
  let best: string | undefined
  // Half of the letters: farther away, everything is like anything.
  let least = plain.length / 2
  for (const candidate of known) {
    const distance = distanceOf(plain, plainly(candidate))
    if (distance < least || (distance === least && best === undefined)) {
      best = candidate
      least = distance
    }
  }
  return best
}

/** `max_connections` is `maxConnections`, too. */
const plainly = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, "")

/** How many letters have to be put in, left out or replaced (Levenshtein). */
const distanceOf = (from: string, to: string): number => {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[to.length]!
}
