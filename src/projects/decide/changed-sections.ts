import { canonicalJson } from '../../kernel/digest.ts'
import type { ProjectFile } from '../project-file.ts'
import { parseProjectFile } from './parse-project-file.ts'

/**
 * The top-level words whose meaning differs between two versions of a file (texts or parsed), in order of name.
 * Comments, layout and defaults written out do not count. Throws what parseProjectFile throws.
 */
export function changedSections(before: ProjectFile | string, after: ProjectFile | string): (keyof ProjectFile)[] {
  const [from, to] = [parsed(before), parsed(after)]
  const words = [...new Set([...Object.keys(from), ...Object.keys(to)])] as (keyof ProjectFile)[]
  return words.filter((word) => canonicalJson(from[word] ?? null) !== canonicalJson(to[word] ?? null)).sort()
}

/**
 * Whether the file asks for nothing new to be trained or judged: `deployments:` is all that differs, if anything.
 * The planner asks this where modelwright.yaml is the only file of a commit.
 */
export const changesOnlyDeployments = (before: ProjectFile | string, after: ProjectFile | string): boolean =>
  changedSections(before, after).every((section) => section === 'deployments')

const parsed = (file: ProjectFile | string): ProjectFile => (typeof file === 'string' ? parseProjectFile(file) : file)
