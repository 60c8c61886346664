import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** Content by a path of this machine, or as it is. */
export type TarEntry =
  | { kind: 'file'; name: string; mode: number; content: string | Buffer }
  | { kind: 'copy'; name: string; mode: number; from: string }
  | { kind: 'folder'; name: string; mode: number }
  | { kind: 'link'; name: string; to: string }

const block = 512

/** A tar (POSIX pax) whose bytes depend on names, modes and contents alone: sorted, owned by root, without times. */
export function* tarOf(entries: readonly TarEntry[]): Generator<Buffer> {
  const sorted = [...entries].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  for (const entry of sorted) {
    const content =
      entry.kind === 'file'
        ? Buffer.from(entry.content)
        : entry.kind === 'copy'
          ? readFileSync(entry.from)
          : Buffer.alloc(0)
    const name = entry.kind === 'folder' ? `${entry.name}/` : entry.name
    const target = entry.kind === 'link' ? entry.to : ''
    const long = [name, target].some((text) => Buffer.byteLength(text) > 100)
    if (long) {
      const records = Buffer.from(`${paxRecord('path', name)}${target ? paxRecord('linkpath', target) : ''}`)
      yield header('PaxHeader', { type: 'x', mode: 0o644, size: records.length, target: '' })
      yield padded(records)
    }
    const type = entry.kind === 'folder' ? '5' : entry.kind === 'link' ? '2' : '0'
    const mode = entry.kind === 'link' ? 0o777 : entry.mode
    yield header(cut(name), { type, mode, size: content.length, target: cut(target) })
    if (content.length > 0) yield padded(content)
  }
  yield Buffer.alloc(2 * block)
}

/** All that is in a folder, under another name. @param wanted by path below the folder */
export function folderEntries(
  folder: string,
  name: string,
  wanted: (path: string) => boolean = () => true,
): TarEntry[] {
  const entries: TarEntry[] = [{ kind: 'folder', name, mode: 0o755 }]
  const walk = (below: string) => {
    for (const one of readdirSync(join(folder, below)).sort()) {
      const path = below ? `${below}/${one}` : one
      if (!wanted(path)) continue
      const found = lstatSync(join(folder, path))
      const at = `${name}/${path}`
      if (found.isSymbolicLink()) entries.push({ kind: 'link', name: at, to: readlinkSync(join(folder, path)) })
      else if (found.isDirectory()) {
        entries.push({ kind: 'folder', name: at, mode: 0o755 })
        walk(path)
      } else if (found.isFile())
        entries.push({ kind: 'copy', name: at, mode: found.mode & 0o100 ? 0o755 : 0o644, from: join(folder, path) })
    }
  }
  walk('')
  return entries
}

/** A record says its own length, whose digits count too. */
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`)
  let length = rest + String(rest).length
  if (rest + String(length).length !== length) length = rest + String(length).length
  return `${length} ${key}=${value}\n`
}

const cut = (text: string): string => Buffer.from(text).subarray(0, 100).toString('latin1')

function header(name: string, facts: { type: string; mode: number; size: number; target: string }): Buffer {
  const bytes = Buffer.alloc(block)
  const octal = (value: number, at: number, length: number) =>
    bytes.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1')
  bytes.write(name, 0, 'latin1')
  octal(facts.mode, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(facts.size, 124, 12)
  octal(0, 136, 12)
  bytes.write('        ', 148, 'latin1')
  bytes.write(facts.type, 156, 'latin1')
  bytes.write(facts.target, 157, 'latin1')
  bytes.write('ustar\0', 257, 'latin1')
  bytes.write('00', 263, 'latin1')
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return bytes
}

const padded = (content: Buffer): Buffer =>
  content.length % block === 0 ? content : Buffer.concat([content, Buffer.alloc(block - (content.length % block))])
