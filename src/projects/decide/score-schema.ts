import type { Dep } from '../project-file.ts'
import { nameProblem, Refused, written } from './grammar.ts'
import { shellQuote } from './render-command.ts'
import { isGlob } from './repository-path.ts'
import { repositoryPath } from './schema-words.ts'

// `score:` of a step: what stands for the command that nobody wrote.

/** Which variable of a step holds the path of a dataset or a model: docs/step-contract.md. */
const variableOf = (prefix: string, name: string): string => prefix + name.toUpperCase().replace(/[^A-Z0-9]/g, '_')

/** The part of a step that scores a table: nobody's command, but this program's own. */
type Scoring = { score: string; input: Dep; out: string; keep: string[] | 'all' | undefined }

/**
 * Paths of this machine are in variables, so that the key does not depend on where the program lies. A bad row fails the step: what
 * would be written about it is no declared output.
 */
export const scoreCommand = ({ score, input, out, keep }: Scoring): string =>
  [
    '"$MODELWRIGHT_NODE" --disable-warning=ExperimentalWarning "$MODELWRIGHT_PROGRAM" score',
    `"$${variableOf('MODELWRIGHT_MODEL_', score)}"`,
    input.kind === 'data'
      ? `"$${variableOf('MODELWRIGHT_DATA_', input.name)}"`
      : shellQuote((input as { path: string }).path),
    shellQuote(out),
    '--on-bad fail --restart --python python3',
    ...(keep === undefined ? [] : [`--keep ${shellQuote(keep === 'all' ? keep : keep.join(','))}`]),
  ].join(' ')

export const scoredModel = written('the name of a model that a step of this file logs', (text) => {
  if (/^[^@/]+[@/]./.test(text))
    return new Refused(
      'a step scores with a model that this pipeline makes; a registered version is scored with by `run: modelwright score …`',
    )
  return nameProblem(text) ? undefined : text
})

export const scoredInput = written('a path or data:NAME', (text): Dep | Refused => {
  const data = /^data:(.+)$/.exec(text)
  if (data) return { kind: 'data', name: data[1]! }
  const read = repositoryPath(text)
  if (read instanceof Refused) return read
  return isGlob(read)
    ? new Refused('a pattern cannot stand here; name the file or folder')
    : { kind: 'path', path: read }
})
