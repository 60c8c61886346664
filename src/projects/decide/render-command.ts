import { AppError } from '../../kernel/errors.ts'
import type { JsonScalar, Step } from '../project-file.ts'

/** `${params.NAME}`; everything else with a dollar sign belongs to the shell. */
export const paramReference = /\$\{params\.([^}]*)\}/g

/**
 * The step's line for sh with its parameters filled in. Each value becomes one single-quoted word, so that no value
 * (they also come from `--set` and from searches) can be read as shell. A reference that the author put inside
 * double quotes therefore keeps its single quotes as text: the parser refuses such references.
 */
export function renderCommand(step: Pick<Step, 'name' | 'run'>, params: Readonly<Record<string, JsonScalar>>): string {
  return step.run.replaceAll(paramReference, (_, name: string) => {
    const value = Object.hasOwn(params, name) ? params[name] : undefined
    if (value === undefined)
      throw new AppError(
        'ConfigInvalid',
        `Step "${step.name}" uses \${params.${name}}, but has no parameter "${name}".`,
        `Declare ${name} under params: of the step, or take it out of its run: line.`,
      )
    return shellQuote(String(value))
  })
}

/** A value as one word of sh, always in quotes: `2` before `>` or `if` at the front would mean something bare. */
export const shellQuote = (value: string): string => `'${value.replaceAll("'", "'\\''")}'`

/** The same for a value that is filled in before parameters are: what it holds itself is no reference to a parameter. */
export const shellQuoteFilled = (value: string): string =>
  shellQuote(value).replaceAll('${params.', () => "$''{params.")

/**
 * Names whose reference stands where renderCommand's own quotes would not protect the value: inside quotes of the
 * shell, or in a line with a here-document. `reference`: sticky, its first group is the name.
 */
export function unprotectedReferences(run: string, reference: RegExp = /\$\{params\.([^}]*)/y): string[] {
  const names: string[] = []
  const hereDocument = run.includes('<<')
  let quote: string | undefined
  for (let i = 0; i < run.length; i++) {
    const char = run[i]!
    reference.lastIndex = i
    const found = quote || hereDocument ? reference.exec(run) : null
    if (found) names.push(found[1]!)
    else if (char === '\\' && quote !== "'") i++
    else if (quote === undefined && char === '#' && /^$|\s/.test(run[i - 1] ?? '')) i = endOfLine(run, i)
    else if (quote === undefined && (char === "'" || char === '"' || char === '`')) quote = char
    else if (char === quote) quote = undefined
  }
  return names
}

const endOfLine = (text: string, from: number): number => {
  const end = text.indexOf('\n', from)
  return end === -1 ? text.length : end
}
