import { AppError } from '../../../kernel/errors.ts'

const refused: [RegExp, string, string][] = [
  [
    /^(-i|--index-url|--extra-index-url|-f|--find-links|--no-index|--trusted-host)\b/,
    'a package index',
    'Tell pip on the server (pip config set …) where packages come from.',
  ],
  [/^(-r|--requirement|-c|--constraint)\b/, 'a file outside of the repository', 'Commit it, and name it by its path.'],
  [/^(-e|--editable)\b/, 'an editable package outside of the repository', 'Name a folder of the repository.'],
]

/** A lock holds no address and no second file, so what names one is refused by name instead of being half obeyed. */
export function checkRequirements(text: string): void {
  for (const [index, line] of text.split('\n').entries()) {
    const found = refused.find(([pattern]) => pattern.test(line.trim()))
    if (found)
      throw new AppError(
        'NotYetSupported',
        `Line ${index + 1} of the requirements names ${found[1]}, which this version does not carry out: ${line.trim().split(/[\s=]/)[0]}`,
        found[2],
      )
  }
}

export const isBlankRequirements = (text: string): boolean => text.split('\n').every((line) => /^\s*(#.*)?$/.test(line))

/** A pyproject.toml has its dependencies in a table; no line of a requirements.txt begins as a table does. */
export const isPyproject = (text: string): boolean => /^\[[\w."' -]+\]/m.test(text)

/** The one form that is digested: no comments, no blank lines, one newline at the end. */
export function normalisedRequirements(text: string): string {
  const lines = text.split('\n').map((line) => line.trimEnd())
  const kept = lines.filter((line) => line !== '' && !line.trimStart().startsWith('#'))
  return kept.length === 0 ? '' : `${kept.join('\n')}\n`
}
