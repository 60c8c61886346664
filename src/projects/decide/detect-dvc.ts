import { isAppError } from '../../kernel/errors.ts'
import type { RepositoryFile } from './detect-scripts.ts'
import { isMap } from './dvc-values.ts'
import { parseWithDvc } from './parse-project-file.ts'
import { dvcFileName, dvcValueFiles } from './read-dvc-file.ts'
import { readYaml } from './yaml-source.ts'

export type DvcFound = { found: string[]; guessed: string[] }

/**
 * The stages of a dvc.yaml are carried out as they stand there: nothing of them is written down a second time, only what of them would be
 * refused is told. Undefined where the text has no stages. Where a file that it takes values from is not known by its text, nobody can tell.
 */
export function detectDvc(text: string | undefined, files: readonly RepositoryFile[]): DvcFound | undefined {
  if (text === undefined) return undefined
  const yaml = readYaml(text)
  const stages = 'problems' in yaml ? undefined : stagesOf(yaml.source.value)
  if (!('problems' in yaml) && stages === undefined) return undefined
  const found = [
    stages === undefined
      ? dvcFileName
      : `${dvcFileName}: ${stages} ${stages === 1 ? 'stage' : 'stages'}, carried out as they stand there`,
  ]
  try {
    const named = new Set(dvcValueFiles(text))
    const values = files.filter(({ path }) => named.has(path))
    const known = new Map(
      values.flatMap(({ path, text: value }) => (value === undefined ? [] : [[path, value] as const])),
    )
    if (known.size === values.length) parseWithDvc('project: p\n', { text, files: known })
    return { found, guessed: [] }
  } catch (error) {
    if (!isAppError(error)) throw error
    return { found, guessed: [`a push would be refused as it is: ${error.message}`] }
  }
}

function stagesOf(root: unknown): number | undefined {
  const stages = isMap(root) ? root.stages : undefined
  return isMap(stages) ? Object.keys(stages).length : undefined
}
