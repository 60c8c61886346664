import type { DatasetVersion } from '../../artifacts/index.ts'
import { shortDigest } from '../../kernel/digest.ts'

export type Content = {
  digest: string
  rows?: number
  origin: 'git' | 'address' | 'part' | 'labelled predictions' | 'joined' | 'unknown'
  text: string
  firstSeenAt?: number
}

/**
 * A content of a dataset with where it came from in words. Only what Modelwright froze or joined is recorded as a `version`;
 * anything else is a file of the commit, at `path`.
 */
export function contentFrom(digest: string, version: DatasetVersion | undefined, path?: string): Content {
  if (!version)
    return path
      ? { digest, origin: 'git', text: `${path} in Git` }
      : { digest, origin: 'unknown', text: 'nothing is recorded of it' }
  const { rows, createdAt, origin } = version
  const count = rows === undefined ? {} : { rows }
  return { digest, ...count, origin: origin.kind, text: originText(origin), firstSeenAt: createdAt }
}

function originText(origin: DatasetVersion['origin']): string {
  if (origin.kind === 'git') return `${origin.path} in Git`
  if (origin.kind === 'address') return `what lay at ${origin.address}`
  if (origin.kind === 'part')
    return `${Number((origin.share * 100).toPrecision(6))}% of the rows of ${shortDigest(origin.of)}`
  if (origin.kind === 'labelled predictions')
    return `rows that ${origin.environment} saw and that were labelled until ${new Date(origin.until).toISOString()}`
  return 'a file of Git with labelled rows of production added'
}

/**
 * Package → version of a compiled requirements text: `name==1.2 \` with hashes on further lines, extras and markers left out.
 * Names are compared as PyPI does: lower case, runs of `-_.` are one `-` (PEP 503).
 */
export function packagesIn(requirements: string): Map<string, string> {
  const packages = new Map<string, string>()
  for (const line of requirements.split('\n')) {
    const match = /^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*(?:==\s*([^\s;\\]+)|@\s*(\S+))/.exec(line)
    if (match) packages.set(match[1]!.toLowerCase().replace(/[-_.]+/g, '-'), match[2] ?? match[3]!)
  }
  return packages
}
