import { shortDigest } from '../../kernel/digest.ts'
import { type Explanation, type KeyChange, type KeyParts, notIsolated, type ResultOrigin } from '../plan.ts'

/** Why a step runs or is reused, against which earlier result, and what its key is made of: as `modelwright explain` shows it. */
export function describeExplanation(explanation: Explanation): string[] {
  const { step, commit, decision, against, changes, upstream, decidedIn } = explanation
  const lines = [
    `${step} at ${commit.slice(0, 12)}: ${decision.outcome}${decidedIn ? `, as execution ${decidedIn} decided` : ''}`,
  ]
  if (!('key' in decision)) {
    lines.push(...decision.reasons.map((reason) => `  ${reason}`))
    for (const node of upstream) lines.push(`  ${node.id}: ${node.outcome}, ${node.reasons.join('; ')}`)
    return [...lines, ...ranLines(explanation)]
  }
  if (changes.length > 0) lines.push(...changes.flatMap(changeLines))
  else lines.push(...decision.reasons.map((text) => `  ${text}`))
  if (against) {
    const isReused = decision.outcome === 'reused' && against.key === decision.key
    lines.push(`${isReused ? 'from' : 'compared with'} ${originText(against)}`)
  }
  lines.push(...ranLines(explanation))
  if (decision.parts)
    lines.push(`key ${shortDigest(decision.key)} is made of`, ...partLines(decision.parts, explanation))
  return lines
}

function ranLines({ ran }: Explanation): string[] {
  if (!ran) return []
  const since = ran.since && shortOrigin(ran.since)
  const where = ran.executionId ? `in execution ${ran.executionId} it ran` : 'it ran there'
  // Said of the step already, and no reason why it ran.
  const reasons = ran.reasons.filter((text) => text !== notIsolated)
  return [`${where} because${since ? ` (since ${since})` : ''}`, ...reasons.map((text) => `  ${text}`)]
}

/** A command says by itself what changed in it. */
function changeLines({ part, before, after, text }: KeyChange): string[] {
  if (part !== 'command' || before === undefined || after === undefined) return [`  ${text}`]
  return [`  ${text}`, `    from  ${oneLine(before)}`, `    to    ${oneLine(after)}`]
}

const longestCommand = 500

function oneLine(command: string): string {
  const line = command.replaceAll('\n', ' ⏎ ')
  return line.length > longestCommand ? `${line.slice(0, longestCommand)}…` : line
}

export function originText({ executionId, commit, at }: ResultOrigin): string {
  const made = executionId ? `execution ${executionId}` : 'an earlier execution'
  return `${made}${commit ? ` of commit ${commit.slice(0, 12)}` : ''}, ${new Date(at).toISOString()}`
}

/** The end of an id is what tells executions apart. */
export const shortOrigin = ({ executionId, commit }: ResultOrigin): string | undefined =>
  executionId && `${executionId.slice(-8)}${commit ? ` at ${commit.slice(0, 8)}` : ''}`

function partLines(parts: KeyParts, { lock }: Explanation): string[] {
  const lines: [string, string][] = [['command', parts.command]]
  for (const [path, content] of Object.entries(parts.files)) {
    const [digest, mode] = content.split(' ')
    lines.push(['file', `${path}  ${shortDigest(digest!)}${mode ? ` ${mode}` : ''}  ${fileOrigin(path, parts)}`])
  }
  for (const [name, value] of Object.entries(parts.params))
    lines.push(['parameter', `${name} = ${JSON.stringify(value)}`])
  lines.push(['seed', String(parts.seed)])
  if (parts.environment !== 'none')
    lines.push(['environment', `${lock ? `Python ${lock.pythonVersion}, ` : ''}lock ${shortDigest(parts.environment)}`])
  for (const [name, digest] of Object.entries(parts.variables))
    lines.push(['variable', `${name} ${digest === 'unset' ? 'unset' : `set (${shortDigest(digest)})`}`])
  for (const [dataset, digest] of Object.entries(parts.checks))
    lines.push(['checks', `of ${dataset} (${shortDigest(digest)})`])
  if (parts.outs.length > 0) lines.push(['outs', parts.outs.join(', ')])
  if (parts.model) lines.push(['model', parts.model])
  if (parts.metrics !== false) lines.push(['metrics', String(parts.metrics)])
  if (parts.platform) lines.push(['platform', parts.platform])
  if (parts.sample !== undefined) lines.push(['sample', String(parts.sample)])
  if (parts.pythonPath) lines.push(['python path', parts.pythonPath.join(', ')])
  if (parts.checkout) lines.push(['commit', `${parts.checkout}  ${notIsolated}`])
  if (parts.once) lines.push(['always', 'another key in each execution'])
  return lines.map(([part, text]) => `  ${part.padEnd(11)}  ${text}`)
}

/** Why a file is there: declared, made by another step, or imported. */
export function fileOrigin(path: string, parts: Pick<KeyParts, 'trees' | 'told'>): string {
  if (path.startsWith('model:')) return 'model'
  if (parts.trees.includes(path)) return 'output of another step'
  const importer = parts.told?.imported[path]
  if (importer === undefined) return 'declared'
  return importer === 'run:' ? 'started by the command' : `imported by ${importer}`
}
