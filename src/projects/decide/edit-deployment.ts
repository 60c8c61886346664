import { type Document, isAlias, isMap, isScalar, type Node, Pair, Scalar, stringify, type YAMLMap } from 'yaml'
import { canonicalJson, type Digest } from '../../kernel/digest.ts'
import { AppError, bug } from '../../kernel/errors.ts'
import type { EnvironmentName } from '../project-file.ts'
import { parseProjectFile } from './parse-project-file.ts'
import { readYaml } from './yaml-source.ts'

export type Promoted = { model: string; version: number; digest: Digest }

/**
 * The text of modelwright.yaml with one environment's model, version and digest set, everything else byte for byte as
 * it was: comments, quotes, blank lines, line ends. Only the values' own characters are replaced; what is missing is
 * inserted in the layout of its neighbours. The result is read again and proved to differ in those values only.
 * Throws ConfigInvalid where the text cannot be read, where the result would not be valid, and where the place is an
 * alias or an anchor that others share (an edit there would change more than one environment).
 */
export function editDeployment(
  text: string,
  environment: EnvironmentName,
  promoted: Promoted,
  fileName = 'modelwright.yaml',
): string {
  const before = read(text, fileName)
  const edits = editsFor(text, before.document, environment, promoted, fileName)
  const result = splice(text, edits)
  parseProjectFile(result, fileName)
  prove({
    before: before.value,
    after: read(result, fileName).value,
    environment,
    promoted,
    fileName,
    anchored: /&\w/.test(text),
  })
  return result
}

function read(text: string, fileName: string): { document: Document; value: Record<string, unknown> } {
  const yaml = readYaml(text)
  // Throws with line and column; a text that readYaml cannot read is never valid.
  if ('problems' in yaml || !isMap(yaml.source.document.contents)) throw unreadable(text, fileName)
  return { document: yaml.source.document, value: yaml.source.value as Record<string, unknown> }
}

function unreadable(text: string, fileName: string): unknown {
  try {
    parseProjectFile(text, fileName)
  } catch (error) {
    return error
  }
  return bug(`${fileName} was valid, but could not be read for an edit.`)
}

type Edit = { from: number; to: number; text: string }
const words = ['model', 'version', 'digest'] as const

function editsFor(text: string, document: Document, environment: string, promoted: Promoted, fileName: string): Edit[] {
  const root = document.contents as YAMLMap
  const deployments = pairOf(root, 'deployments')
  const block = { [environment]: promoted }
  if (!deployments) return [addEntry(text, root, { deployments: block })]
  const map = deployments.value as Node | null
  if (isAlias(map)) throw shared(environment, fileName)
  if (!isMap(map)) return [fillEmpty(text, root, deployments, block)]
  const target = pairOf(map, environment)
  if (!target) return [addEntry(text, map, block, { parent: root, pair: deployments })]
  if (!isMap(target.value)) throw shared(environment, fileName)
  return editsOf(text, target.value as YAMLMap, promoted)
}

function editsOf(text: string, map: YAMLMap, promoted: Promoted): Edit[] {
  const edits: Edit[] = []
  let previous: Pair | undefined
  let missing: Record<string, unknown> = {}
  const flush = () => {
    if (Object.keys(missing).length > 0) edits.push(addAfter(text, map, previous, missing))
    missing = {}
  }
  for (const word of words) {
    const pair = pairOf(map, word)
    if (pair) {
      flush()
      edits.push(...replaceValue(text, pair, promoted[word]))
      previous = pair
    } else missing[word] = promoted[word]
  }
  flush()
  return edits
}

function replaceValue(text: string, pair: Pair, value: string | number): Edit[] {
  const node = pair.value as Node | null
  if (isScalar(node) && node.value === value) return []
  if (!node?.range) {
    const end = (pair.key as Node).range![1]
    return [{ from: end, to: end, text: `: ${plain(value)}` }]
  }
  const [from, to] = node.range
  const gap = from === to && !/\s/.test(text[from - 1] ?? '') ? ' ' : ''
  return [{ from, to, text: gap + inStyleOf(node, value, eolOf(text)) }]
}

/** A text keeps its quotes; a version in quotes would be a text, so a number has none. */
function inStyleOf(node: Node, value: string | number, eol: string): string {
  const style = isScalar(node) ? node.type : undefined
  if (style === Scalar.BLOCK_FOLDED || style === Scalar.BLOCK_LITERAL) return plain(value) + eol
  if (typeof value === 'number') return String(value)
  if (style === Scalar.QUOTE_DOUBLE) return JSON.stringify(value)
  return style === Scalar.QUOTE_SINGLE ? `'${value}'` : plain(value)
}

const plain = (value: unknown): string => stringify(value, { lineWidth: 0 }).trim()

/** Entries that follow `previous` in its map (or stand first, where there is none). */
function addAfter(text: string, map: YAMLMap, previous: Pair | undefined, entries: Record<string, unknown>): Edit {
  if (map.flow) return addToFlow(text, map, previous, entries)
  if (previous) {
    const at = afterLine(text, endOf(previous))
    return insertLines(text, at, blockLines(text, entries, columnOf(text, map), indentUnit(text, map)))
  }
  const start = (map.items[0]!.key as Node).range![0]
  const indent = ' '.repeat(columnOf(text, map))
  const lines = Object.entries(entries).map(([key, value]) => `${key}: ${plain(value)}${eolOf(text)}${indent}`)
  return { from: start, to: start, text: lines.join('') }
}

/** A whole new entry at the end of a map. */
function addEntry(
  text: string,
  map: YAMLMap,
  entry: Record<string, unknown>,
  within?: { parent: YAMLMap; pair: Pair },
): Edit {
  const last = map.items.at(-1)
  if (map.flow)
    return last || !within || within.parent.flow
      ? addToFlow(text, map, last, entry)
      : fillEmpty(text, within.parent, within.pair, entry)
  const column = columnOf(text, map)
  const at = within ? afterOwnComments(text, afterLine(text, endOf(last!)), column) : endOfDocument(text, endOf(last!))
  const lines = blockLines(text, entry, column, indentUnit(text, map))
  return insertLines(text, at, within || column > 0 ? lines : eolOf(text) + lines)
}

/** `deployments:` with nothing, null or {} behind it. */
function fillEmpty(text: string, parent: YAMLMap, pair: Pair, entry: Record<string, unknown>): Edit {
  const value = pair.value as Node | null
  const keyEnd = (pair.key as Node).range![1]
  if (parent.flow) {
    const [from, to] = value?.range && value.range[1] > value.range[0] ? [value.range[0], value.range[1]] : [-1, -1]
    const written = flowText(entry, false)
    if (from >= 0) return { from, to, text: written }
    const colon = text.slice(keyEnd).match(/^\s*:/)?.[0].length ?? 0
    return { from: keyEnd + colon, to: keyEnd + colon, text: colon ? ` ${written}` : `: ${written}` }
  }
  const unit = indentUnit(text, parent)
  const lines = blockLines(text, entry, columnOf(text, parent) + unit, unit)
  const [from, to] = value?.range ? [value.range[0], value.range[1]] : [keyEnd, keyEnd]
  if (to <= from) return insertLines(text, afterLine(text, keyEnd), lines)
  // The written {} or null goes; a comment behind it stays on the line of the key.
  const lineEnd = afterLine(text, to)
  const rest = text.slice(to, lineEnd).replace(/\r?\n$/, '')
  const kept = text.slice(0, from).replace(/[ \t]+$/, '').length
  const ended = text[lineEnd - 1] === '\n'
  const block = `${rest.trim() ? rest : ''}${eolOf(text)}${lines}`
  return { from: kept, to: lineEnd, text: ended ? block : block.slice(0, -eolOf(text).length) }
}

function addToFlow(text: string, map: YAMLMap, previous: Pair | undefined, entries: Record<string, unknown>): Edit {
  const neighbour = (previous ?? map.items[0])?.key
  const quoted = isScalar(neighbour) && neighbour.type === Scalar.QUOTE_DOUBLE
  const inner = flowEntries(entries, quoted)
  if (previous) return { from: endOf(previous), to: endOf(previous), text: `, ${inner}` }
  const open = map.range![0] + 1
  if (map.items.length > 0) return { from: open, to: open, text: `${/\s/.test(text[open] ?? '') ? ' ' : ''}${inner},` }
  return { from: map.range![0], to: map.range![1], text: `{ ${inner} }` }
}

const flowEntries = (entries: Record<string, unknown>, quoted: boolean): string =>
  Object.entries(entries)
    .map(([key, value]) => `${quoted ? JSON.stringify(key) : plain(key)}: ${flowText(value, quoted)}`)
    .join(', ')

function flowText(value: unknown, quoted: boolean): string {
  if (typeof value === 'object' && value !== null) return `{ ${flowEntries(value as Record<string, unknown>, quoted)} }`
  return quoted ? JSON.stringify(value) : plain(value)
}

function blockLines(text: string, entries: Record<string, unknown>, column: number, unit: number): string {
  const eol = eolOf(text)
  return Object.entries(entries)
    .map(([key, value]) => {
      const head = `${' '.repeat(column)}${plain(key)}:`
      if (typeof value !== 'object' || value === null) return `${head} ${plain(value)}${eol}`
      return `${head}${eol}${blockLines(text, value as Record<string, unknown>, column + unit, unit)}`
    })
    .join('')
}

/** Lines go in at the start of a line; a text without a final line end is given one first and keeps having none. */
function insertLines(text: string, at: number, lines: string): Edit {
  const eol = eolOf(text)
  const startsLine = at === 0 || text[at - 1] === '\n'
  return { from: at, to: at, text: startsLine ? lines : eol + lines.slice(0, -eol.length) }
}

const eolOf = (text: string): string => (/\r\n/.test(text) ? '\r\n' : '\n')

const pairOf = (map: YAMLMap, key: string): Pair | undefined =>
  map.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === key)

/** The offset behind the last character of a pair, without the comments and blank lines that follow it. */
function endOf(pair: Pair): number {
  const value = pair.value as Node | null
  if (value && 'items' in value && !(value as YAMLMap).flow && (value as YAMLMap).items.length > 0) {
    const last = (value as YAMLMap).items.at(-1) as Pair | Node
    return 'key' in last ? endOf(last as Pair) : endOf(new Pair(last, last))
  }
  const range = value?.range ?? (pair.key as Node).range
  return range![1]
}

const afterLine = (text: string, from: number): number => {
  if (text[from - 1] === '\n') return from
  const end = text.indexOf('\n', from)
  return end === -1 ? text.length : end + 1
}

/** Comments that are indented deeper than the map's keys belong to the entry above them. */
function afterOwnComments(text: string, from: number, column: number): number {
  let at = from
  while (at < text.length) {
    const next = afterLine(text, at + 1)
    const line = text.slice(at, next)
    if (!/^\s*#/.test(line) || line.search(/\S/) <= column) return at
    at = next
  }
  return at
}

/** The end of the text, or the `...` that ends the document before it. */
function endOfDocument(text: string, from: number): number {
  const end = /^\.\.\.(\s|$)/m.exec(text.slice(from))
  return end ? from + end.index : text.length
}

function columnOf(text: string, map: YAMLMap): number {
  const start = (map.items[0]!.key as Node).range![0]
  const line = text.lastIndexOf('\n', start - 1) + 1
  return start - line - (text.charCodeAt(line) === 0xfeff ? 1 : 0)
}

/** How far the file indents, seen at the first block map inside a block map; 2 where there is none. */
function indentUnit(text: string, map: YAMLMap): number {
  for (const pair of map.items) {
    const inner = pair.value
    if (isMap(inner) && !inner.flow && inner.items.length > 0)
      return Math.max(1, columnOf(text, inner) - columnOf(text, map))
  }
  return 2
}

const splice = (text: string, edits: readonly Edit[]): string =>
  [...edits]
    .sort((a, b) => b.from - a.from)
    .reduce((now, edit) => now.slice(0, edit.from) + edit.text + now.slice(edit.to), text)

function shared(environment: string, fileName: string): AppError {
  return new AppError(
    'ConfigInvalid',
    `deployments.${environment} in ${fileName} is written by means of an alias or anchor, so it cannot be set alone.`,
    `Write ${environment} out in full under deployments:.`,
  )
}

type Proof = {
  before: Record<string, unknown>
  after: unknown
  environment: string
  promoted: Promoted
  fileName: string
  anchored: boolean
}

function prove({ before, after, environment, promoted, fileName, anchored }: Proof): void {
  const deployments = (before.deployments ?? {}) as Record<string, object>
  const target = Object.hasOwn(deployments, environment) ? deployments[environment] : {}
  const expected = { ...before, deployments: { ...deployments, [environment]: { ...target, ...promoted } } }
  if (canonicalJson(after) === canonicalJson(expected)) return
  throw anchored
    ? shared(environment, fileName)
    : bug(`The edit of deployments.${environment} changed more than it should.`)
}
