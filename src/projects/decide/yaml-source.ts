import { type Alias, type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import type { Problem } from '../project-file.ts'

/** A YAML text that is safe to read: its plain value, and where in the text each part of it stands. */
export type YamlSource = {
  value: unknown
  document: Document
  placeOf: (path: readonly PropertyKey[], what?: 'key' | 'value') => { line: number; column: number }
}

type Key = string | number
// The worst of hostile texts takes the reader 7 µs a byte, and the server does nothing else meanwhile.
const maxBytes = 256_000
const maxDepth = 32
const maxNodes = 5000
const maxAliases = 64
const plainTags = /^tag:yaml\.org,2002:(str|int|float|bool|null|map|seq)$/

/**
 * Reads one YAML 1.2 document of at most 256 kB. The text comes from whoever may push, so size, depth, aliases and
 * tags are bounded here, before anything looks at the value.
 */
export function readYaml(text: string): { source: YamlSource } | { problems: Problem[] } {
  const size = Buffer.byteLength(text)
  if (size > maxBytes)
    return {
      problems: [
        { kind: 'invalid', line: 1, column: 1, text: `the file has ${size} bytes; at most ${maxBytes} are read` },
      ],
    }
  const lines = new LineCounter()
  // The library compares every key with every other one (quadratic); toValue() below looks for duplicates instead.
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: false, prettyErrors: false })
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const problems: Problem[] = [...document.errors, ...document.warnings].slice(0, 20).map((error) => ({
    kind: 'invalid',
    ...at(error.pos[0]),
    text: yamlWords[error.code] ?? lowerFirst(error.message),
  }))
  if (document.directives?.yaml.explicit)
    problems.push({
      kind: 'invalid',
      line: 1,
      column: 1,
      text: 'found a %YAML directive; write YAML 1.2 without directives',
    })
  if (problems.length > 0) return { problems }

  const walk: Walk = { document, nodes: 0, aliases: 0, problems: [], at }
  const value = toValue(document.contents, [], walk)
  if (walk.problems.length > 0) return { problems: walk.problems }
  return { source: { value, document, placeOf: (path, what) => at(offsetOf(document, path, what ?? 'value')) } }
}

const yamlWords: Record<string, string | undefined> = {
  MULTIPLE_DOCS: 'found a second YAML document; the file holds exactly one',
  TAB_AS_INDENT: 'found a tab as indentation; YAML is indented with spaces',
  RESOURCE_EXHAUSTION: `found values nested too deeply; at most ${maxDepth} levels are read`,
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1)

type Walk = {
  document: Document
  nodes: number
  aliases: number
  problems: Problem[]
  at: (offset: number) => { line: number; column: number }
}

class Stop extends Error {}

function toValue(node: Node | null | undefined, path: Key[], walk: Walk): unknown {
  try {
    return nodeValue(node, path, walk)
  } catch (error) {
    if (error instanceof Stop) return undefined
    throw error
  }
}

function nodeValue(node: Node | null | undefined, path: Key[], walk: Walk): unknown {
  if (!node) return null
  const complain = (text: string, at: Node = node) =>
    walk.problems.push({ kind: 'invalid', ...walk.at(at.range?.[0] ?? 0), text: `found ${text}` })
  const stop = (text: string): never => {
    complain(text)
    throw new Stop()
  }
  if (++walk.nodes > maxNodes) stop(`more than ${maxNodes} values (aliases count each time they are used)`)
  if (path.length > maxDepth) stop(`values nested too deeply; at most ${maxDepth} levels are read`)
  if (node.tag && !plainTags.test(node.tag)) complain(`the tag ${node.tag}; tags are not read here`)
  if (isAlias(node)) {
    if (++walk.aliases > maxAliases) stop(`more than ${maxAliases} aliases`)
    const target = node.resolve(walk.document)
    return target ? nodeValue(target, path, walk) : stop(`the alias *${node.source}, which no anchor before it defines`)
  }
  if (isSeq(node)) return node.items.map((item, index) => nodeValue(item as Node, [...path, index], walk))
  if (!isMap(node)) return isScalar(node) ? node.value : null
  const entries = new Map<string, unknown>()
  for (const pair of node.items) {
    const keyNode = pair.key as Node | null
    if (!isScalar(keyNode)) {
      complain('a key that is not a plain word', keyNode ?? node)
      continue
    }
    const key = String(keyNode.value)
    // Some readers of records drop this key without a word.
    if (key === '__proto__') complain('the key "__proto__", which JavaScript keeps for itself', keyNode)
    if (entries.has(key)) complain(`the key "${key}" a second time in the same place`, keyNode)
    entries.set(key, nodeValue(pair.value as Node | null, [...path, key], walk))
  }
  return Object.fromEntries(entries)
}

/** The offset of the deepest part of the path that exists: for a missing key that is the place of its parent. */
function offsetOf(document: Document, path: readonly PropertyKey[], what: 'key' | 'value'): number {
  let node: Node | null = document.contents
  let offset = node?.range?.[0] ?? 0
  for (const [depth, part] of path.entries()) {
    const container: unknown = isAlias(node) ? (node as Alias).resolve(document) : node
    let next: Node | null | undefined
    if (isMap(container)) {
      const pair = container.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part))
      if (!pair) return offset
      const keyOffset = (pair.key as Node).range?.[0] ?? offset
      next = pair.value as Node | null
      const wantsKey = what === 'key' && depth === path.length - 1
      offset = wantsKey || !next?.range || isEmpty(next) ? keyOffset : next.range[0]
    } else if (isSeq(container)) {
      next = container.items[Number(part)] as Node | undefined
      if (!next) return offset
      offset = next.range?.[0] ?? offset
    }
    node = next ?? null
  }
  return offset
}

const isEmpty = (node: Node): boolean => isScalar(node) && node.value === null
