import type { Readable } from 'node:stream'
import { text as textOf } from 'node:stream/consumers'
import { type Digest, isDigest } from '../kernel/digest.ts'
import { isAppError } from '../kernel/errors.ts'
import type { ObjectStore } from '../ports/object-store.ts'

const anyDigest = /sha256:[0-9a-f]{64}/g
/** A folder's or a version's manifest is never larger. */
const manifestBytes = 64 * 1024 * 1024
const peekBytes = 256

/**
 * Every digest that the texts name, and what those name in turn: a model version's manifest names folders, a folder's manifest its
 * files. A digest counts wherever it stands: one that is none of an object costs nothing, one that is missed costs the object.
 * What cannot be read throws: on half knowledge nothing may be removed.
 */
export async function referencedDigests(
  objects: ObjectStore,
  texts: AsyncIterable<string>,
): Promise<{ has(digest: string): boolean }> {
  // Half of the hex digits tell objects apart as well as all of them, in half of the memory.
  const found = new Set<string>()
  const add = (digest: string): boolean => {
    const before = found.size
    found.add(key(digest))
    return found.size > before
  }
  for await (const text of texts)
    for (const [digest] of text.matchAll(anyDigest)) if (add(digest)) await follow(objects, digest as Digest, add)
  return { has: (digest) => found.has(key(digest)) }
}

async function follow(objects: ObjectStore, digest: Digest, add: (digest: string) => boolean): Promise<void> {
  const text = await manifestText(objects, digest)
  if (text === undefined) return
  const isFolder = text.startsWith('{"files":')
  for (const [inside] of text.matchAll(anyDigest)) {
    // A folder's files are what they are: nothing is looked for in them.
    if (add(inside) && !isFolder) await follow(objects, inside as Digest, add)
  }
}

/** The text of what may be a manifest: canonical JSON that is an object. */
async function manifestText(objects: ObjectStore, digest: Digest): Promise<string | undefined> {
  try {
    const size = await objects.size(digest)
    if (size > manifestBytes) return undefined
    const start = await readText(await objects.open(digest, { start: 0, end: peekBytes - 1 }))
    if (!start.startsWith('{"')) return undefined
    return size <= peekBytes ? start : await readText(await objects.open(digest))
  } catch (error) {
    if (isAppError(error, 'NotFound')) return undefined
    throw error
  }
}

const readText = (content: Readable): Promise<string> => textOf(content)

const key = (digest: string): string => (isDigest(digest) ? digest.slice('sha256:'.length, 39) : digest)
