import { shortDigest } from '../../kernel/digest.ts'
import type { EnvironmentLock } from '../../ports/environments.ts'
import { datasetAt } from '../../projects/decide/data-place.ts'
import type { KeyChange, KeyPart, KeyParts } from '../plan.ts'
import { lockChanges } from './lock-changes.ts'

/** The locks that the two keys name, where they are still known. */
export type Locks = { now?: EnvironmentLock; before?: EnvironmentLock }

/** Exactly what differs between two keys of a step; empty where they are equal. */
export function keyChanges(now: KeyParts, before: KeyParts, locks: Locks = {}): KeyChange[] {
  return [
    ...(now.once === undefined ? [] : [{ part: 'once' as const, text: 'always' }]),
    ...commandChange(now, before),
    ...fileChanges(now, before),
    ...differing(now.params, before.params).map((name) =>
      told('parameter', name, before.params[name], now.params[name], { absent: 'unset' }),
    ),
    ...(now.seed === before.seed ? [] : [told('seed', undefined, before.seed, now.seed)]),
    ...environmentChanges(now, before, locks),
    ...differing(now.variables, before.variables).map((name) => variableChange(name, now, before)),
    ...differing(now.checks, before.checks).map(
      (name): KeyChange => ({ part: 'checks', name, text: `checks of ${name} changed` }),
    ),
    ...(now.outs.join('\n') === before.outs.join('\n')
      ? []
      : [told('outs', undefined, list(before.outs), list(now.outs), { absent: 'none' })]),
    ...declarationChanges(now, before),
    ...(now.platform === before.platform
      ? []
      : [told('platform', undefined, before.platform, now.platform, { absent: 'any' })]),
    ...(now.checkout === before.checkout ? [] : [checkoutChange(now, before)]),
    ...(now.sample === before.sample
      ? []
      : [told('sample', undefined, share(before.sample), share(now.sample), { absent: 'all rows' })]),
    ...(list(now.pythonPath) === list(before.pythonPath)
      ? []
      : [told('python path', undefined, list(before.pythonPath), list(now.pythonPath), { absent: 'none' })]),
  ]
}

const list = (items: readonly string[] = []): string | undefined => (items.length > 0 ? items.join(', ') : undefined)

const share = (value: number | undefined): string | undefined =>
  value === undefined ? undefined : `${Number((value * 100).toPrecision(6))}%`

/** `name: before → after` */
function told(
  part: KeyPart,
  name: string | undefined,
  before: string | number | boolean | undefined,
  after: string | number | boolean | undefined,
  { absent = 'unset' }: { absent?: string } = {},
): KeyChange {
  return {
    part,
    ...(name === undefined ? {} : { name }),
    ...(before === undefined ? {} : { before: String(before) }),
    ...(after === undefined ? {} : { after: String(after) }),
    text: `${name ?? part}: ${before ?? absent} → ${after ?? absent}`,
  }
}

/** A command that differs only by its parameters' values is told of by the parameters. */
function commandChange(now: KeyParts, before: KeyParts): KeyChange[] {
  if (now.command === before.command) return []
  const paramsTell = differing(now.params, before.params).length > 0
  if (paramsTell && (before.told === undefined || before.told.template === now.told?.template)) return []
  return [{ part: 'command', before: before.command, after: now.command, text: 'command changed' }]
}

function fileChanges(now: KeyParts, before: KeyParts): KeyChange[] {
  // A file of parameters is told of by the parameters that changed in it.
  const byParams = differing(now.params, before.params).length > 0 ? (now.told?.narrowed ?? []) : []
  const changed = differing(now.files, before.files).filter((path) => !byParams.includes(path))
  const removed = changed.filter((path) => now.files[path] === undefined)
  const changes: KeyChange[] = []
  const renamed = new Set<string>()
  for (const path of changed) {
    if (before.files[path] !== undefined) continue
    const from = removed.find((old) => !renamed.has(old) && before.files[old] === now.files[path])
    if (from === undefined) continue
    renamed.add(from).add(path)
    changes.push({ part: 'file', name: path, before: from, after: path, text: `${from} renamed to ${path}` })
  }
  for (const path of changed) if (!renamed.has(path)) changes.push(fileChange(path, now, before))
  return changes
}

function fileChange(path: string, now: KeyParts, before: KeyParts): KeyChange {
  const [after, earlier] = [now.files[path], before.files[path]]
  const importer = (now.told ?? before.told)?.imported[path] ?? before.told?.imported[path]
  const started = importer === 'run:'
  const gone = started ? ', which the command started' : `, which ${importer} imported`
  const there = started ? ', which the command starts' : `, imported by ${importer}`
  const why = importer === undefined ? '' : after === undefined ? gone : there
  return {
    part: 'file',
    name: path,
    ...(earlier === undefined ? {} : { before: earlier }),
    ...(after === undefined ? {} : { after }),
    text: `${fileText(path, after, earlier)}${why}`,
  }
}

function fileText(place: string, after: string | undefined, before: string | undefined): string {
  const dataset = datasetAt(place)
  const path = dataset === undefined ? place : `data ${dataset}`
  if (path.startsWith('model:')) return `${path} is another one`
  if (after === undefined) return `${path} removed`
  if (before === undefined) return `${path} added`
  const [[content, mode], [earlier]] = [after.split(' '), before.split(' ')]
  if (content === earlier) return `${path} is ${mode ? 'executable now' : 'no longer executable'}`
  return `${path} changed (${shortDigest(earlier!)} → ${shortDigest(content!)})`
}

function environmentChanges(now: KeyParts, before: KeyParts, locks: Locks): KeyChange[] {
  if (now.environment === before.environment) return []
  const packages = locks.now && locks.before ? lockChanges(locks.now, locks.before) : []
  if (packages.length > 0) return packages
  const text =
    before.environment === 'none'
      ? 'a Python environment was declared'
      : now.environment === 'none'
        ? 'no Python environment is declared any more'
        : 'environment changed'
  return [{ part: 'environment', before: before.environment, after: now.environment, text }]
}

function variableChange(name: string, now: KeyParts, before: KeyParts): KeyChange {
  const [after, earlier] = [now.variables[name], before.variables[name]]
  const text =
    earlier === undefined
      ? `variable ${name} declared`
      : after === undefined
        ? `variable ${name} no longer declared`
        : after === 'unset' || earlier === 'unset'
          ? `variable ${name} is ${after === 'unset' ? 'unset' : 'set'} now`
          : `variable ${name} changed`
  return { part: 'variable', name, text }
}

function declarationChanges(now: KeyParts, before: KeyParts): KeyChange[] {
  const changes: KeyChange[] = []
  if (now.model !== before.model)
    changes.push({ ...told('declaration', 'model', before.model, now.model, { absent: 'none' }) })
  if (now.metrics !== before.metrics) changes.push(told('declaration', 'metrics', before.metrics, now.metrics))
  return changes
}

function checkoutChange(now: KeyParts, before: KeyParts): KeyChange {
  const short = (commit: string | undefined) => commit?.slice(0, 12)
  const text =
    now.checkout === undefined
      ? 'isolated again'
      : before.checkout === undefined
        ? 'it was isolated before'
        : `another commit (${short(before.checkout)} → ${short(now.checkout)})`
  return {
    part: 'commit',
    ...(before.checkout ? { before: before.checkout } : {}),
    ...(now.checkout ? { after: now.checkout } : {}),
    text,
  }
}

function differing<T>(now: Readonly<Record<string, T>>, before: Readonly<Record<string, T>>): string[] {
  return [...new Set([...Object.keys(now), ...Object.keys(before)])].filter((name) => now[name] !== before[name]).sort()
}
