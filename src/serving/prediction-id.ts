import type { Digest } from '../kernel/digest.ts'
import type { PredictionId } from '../kernel/ids.ts'
import type { EpochMs } from '../kernel/time.ts'

/**
 * A prediction's id says when it was answered and by which version, even where its record is gone: 25 bytes as 40 letters
 * of Crockford's base32 (lower case, sorted by time): 6 bytes epoch ms, 5 bytes of the version's digest, 4 bytes version
 * number, 10 random bytes, so that nobody guesses another's id. A row of a request that had several adds `:INDEX`.
 */
export const randomBytesNeeded = 10

export type DecodedPredictionId = {
  at: EpochMs
  version: number
  /** The first ten hex digits of the digest, without `sha256:`. */
  digestPrefix: string
  /** The id of the request, without the row. */
  prediction: PredictionId
  row?: number
}

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const codes = Buffer.from(alphabet)
const bytesInId = 25

/** @param random exactly ten bytes from a source that cannot be guessed. @param facts.version 0..2³²−1 */
export function predictionId(
  facts: { at: EpochMs; version: number; digest: Digest },
  random: Uint8Array,
): PredictionId {
  const bytes = new Uint8Array(bytesInId)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, Math.floor(facts.at / 2 ** 32))
  view.setUint32(2, facts.at % 2 ** 32)
  bytes.set(Buffer.from(facts.digest.slice('sha256:'.length, 'sha256:'.length + 10), 'hex'), 6)
  view.setUint32(11, facts.version)
  bytes.set(random.subarray(0, randomBytesNeeded), 15)
  return toBase32(bytes) as PredictionId
}

/** Undefined where the text is no prediction id. Capitals are read as small letters. */
export function decodePredictionId(text: string): DecodedPredictionId | undefined {
  const match = /^([0-9a-hjkmnp-tv-z]{40})(?::(\d{1,9}))?$/.exec(text.toLowerCase())
  if (!match) return undefined
  const bytes = fromBase32(match[1]!)
  const view = new DataView(bytes.buffer)
  return {
    at: view.getUint16(0) * 2 ** 32 + view.getUint32(2),
    digestPrefix: Buffer.from(bytes.subarray(6, 11)).toString('hex'),
    version: view.getUint32(11),
    prediction: match[1] as PredictionId,
    ...(match[2] === undefined ? {} : { row: Number(match[2]) }),
  }
}

/** The ids of a request's rows: its own where there is one row, else with `:0`, `:1`, … */
export const rowId = (prediction: string, row: number, rows: number): string =>
  rows === 1 ? prediction : `${prediction}:${row}`

function toBase32(bytes: Uint8Array): string {
  const letters = Buffer.allocUnsafe((bytes.length / 5) * 8)
  let at = 0
  // Five bytes are eight letters; 25 bytes leave no rest.
  for (let i = 0; i < bytes.length; i += 5) {
    const high = (bytes[i]! << 12) | (bytes[i + 1]! << 4) | (bytes[i + 2]! >> 4)
    const low = ((bytes[i + 2]! & 15) << 16) | (bytes[i + 3]! << 8) | bytes[i + 4]!
    for (let shift = 15; shift >= 0; shift -= 5) {
      letters[at] = codes[(high >> shift) & 31]!
      letters[at + 4] = codes[(low >> shift) & 31]!
      at++
    }
    at += 4
  }
  return letters.toString('latin1')
}

function fromBase32(text: string): Uint8Array {
  const bytes = new Uint8Array((text.length / 8) * 5)
  for (let i = 0; i < text.length / 4; i++) {
    let half = 0
    for (const letter of text.slice(4 * i, 4 * i + 4)) half = (half << 5) | alphabet.indexOf(letter)
    // Twenty bits at bit 20·i: two and a half bytes.
    const at = Math.floor((i * 20) / 8)
    if (i % 2 === 0) {
      bytes[at] = half >> 12
      bytes[at + 1] = (half >> 4) & 255
      bytes[at + 2] = (half & 15) << 4
    } else {
      bytes[at] = bytes[at]! | (half >> 16)
      bytes[at + 1] = (half >> 8) & 255
      bytes[at + 2] = half & 255
    }
  }
  return bytes
}
