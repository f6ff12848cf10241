/** The codes that RFC 6455 and its registry let an endpoint send. */
export const isSendable = (code: number): boolean =>
  Number.isInteger(code) &&
  ((code >= 3000 && code <= 4999) || (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006))

const longestReason = 123

/** Cuts a close reason to the bytes that fit into its frame, between two characters. */
export const cutReason = (reason: string): string => {
  let bytes = 0
  let end = 0
  for (const character of reason) {
    const point = character.codePointAt(0)!
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
    if (bytes > longestReason) break
    end += character.length
  }
  return reason.slice(0, end)
}
