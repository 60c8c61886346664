import { shortDigest } from '../../kernel/digest.ts'
import type { KeyParts } from '../plan.ts'

/** Why a step runs: what differs from the newest earlier result of the same step, in words; never empty. */
export function whyItRuns(parts: KeyParts, earlier: KeyParts | undefined): string[] {
  if (!earlier) return ['first time']
  const reasons: string[] = []
  if (parts.once !== undefined) reasons.push('always')
  if (parts.command !== earlier.command && !sameButParams(parts, earlier)) reasons.push('command changed')
  reasons.push(...changes(parts.files, earlier.files, fileChange))
  reasons.push(
    ...changes(
      parts.params,
      earlier.params,
      (name, now, before) => `${name}: ${before ?? 'unset'} → ${now ?? 'unset'}`,
    ),
  )
  if (parts.seed !== earlier.seed) reasons.push(`seed: ${earlier.seed} → ${parts.seed}`)
  if (parts.environment !== earlier.environment) reasons.push('environment changed')
  reasons.push(...changes(parts.variables, earlier.variables, (name) => `variable ${name} changed`))
  reasons.push(...changes(parts.checks, earlier.checks, (name) => `checks of ${name} changed`))
  if (parts.outs.join('\n') !== earlier.outs.join('\n')) reasons.push('outs changed')
  if (parts.model !== earlier.model || parts.metrics !== earlier.metrics) reasons.push('declaration changed')
  return reasons.length > 0 ? reasons : ['its earlier result is no longer whole']
}

/** A command that differs only by its parameters' values is told of by the parameters. */
const sameButParams = (parts: KeyParts, earlier: KeyParts): boolean =>
  JSON.stringify(parts.params) !== JSON.stringify(earlier.params) && Object.keys(parts.params).length > 0

function fileChange(path: string, now: string | undefined, before: string | undefined): string {
  if (path.startsWith('model:')) return `${path} is another one`
  if (now === undefined) return `${path} removed`
  return before === undefined ? `${path} added` : `${path} changed (${shortDigest(before)} → ${shortDigest(now)})`
}

function changes<T>(
  now: Record<string, T>,
  before: Record<string, T>,
  say: (name: string, now: T | undefined, before: T | undefined) => string,
): string[] {
  const names = [...new Set([...Object.keys(now), ...Object.keys(before)])].sort()
  return names.filter((name) => now[name] !== before[name]).map((name) => say(name, now[name], before[name]))
}
