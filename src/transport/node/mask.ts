import { randomFillSync } from "node:crypto"

const pool = new Uint8Array(8192)
let used = pool.length

/**
 * Fills in a key of four random bytes. It is never zero: with such a mask the bytes stay as they are, and `ws` would not
 * copy them, but write them from the caller's own array later.
 */
export const generateKey = (key: Uint8Array): void => {
  do {
    if (used === pool.length) {
      randomFillSync(pool)
      used = 0
    }
    for (let i = 0; i < 4; i++) key[i] = pool[used++]!
  } while ((key[0]! | key[1]! | key[2]! | key[3]!) === 0)
}

/** Memory that can be masked by words of 32 bits. */
export interface Slab {
  readonly bytes: Buffer
  readonly words: Int32Array
}

export const makeSlab = (size: number): Slab => {
  const bytes = Buffer.allocUnsafeSlow(size)
  return { bytes, words: new Int32Array(bytes.buffer) }
}

/** The key, turned so that it begins where a word does; and the same as one word, in the order of this machine. */
const turned = new Uint8Array(4)
const turnedWord = new Int32Array(turned.buffer)

/** Masks a part of a payload, `done` bytes of which have been masked before. */
export const mask = ({ bytes, words }: Slab, from: number, to: number, key: Uint8Array, done: number): void => {
  let at = from
  for (const aligned = Math.min((from + 3) & ~3, to); at < aligned; at++) {
    bytes[at] = bytes[at]! ^ key[(done + at - from) & 3]!
  }
  const phase = done + at - from
  for (let i = 0; i < 4; i++) turned[i] = key[(phase + i) & 3]!
  const word = turnedWord[0]!
  let next = at >> 2
  const last = to >> 2
  for (; next + 3 < last; next += 4) {
    words[next] = words[next]! ^ word
    words[next + 1] = words[next + 1]! ^ word
    words[next + 2] = words[next + 2]! ^ word
    words[next + 3] = words[next + 3]! ^ word
  }
  for (; next < last; next++) words[next] = words[next]! ^ word
  for (at = Math.max(at, last << 2); at < to; at++) bytes[at] = bytes[at]! ^ turned[at & 3]!
}
