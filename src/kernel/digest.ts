import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import { bug } from './errors.ts'
import type { Branded } from './ids.ts'

/** `sha256:` and 64 hex digits: the form of every digest that others see. */
export type Digest = Branded<string, 'Digest'>

export const isDigest = (text: string): text is Digest => /^sha256:[0-9a-f]{64}$/.test(text)

export const digestOf = (bytes: Uint8Array | string): Digest =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest

/** One text for one value, whatever the order of its keys (RFC 8785). */
export const canonicalJson = (value: unknown): string => {
  const text = canonicalize(value)
  if (text === undefined) throw bug('A value without JSON form was to be digested.')
  return text
}

export const digestOfJson = (value: unknown): Digest => digestOf(canonicalJson(value))

/** The 12 digits that people read. */
export const shortDigest = (digest: string): string => digest.replace(/^sha256:/, '').slice(0, 12)
