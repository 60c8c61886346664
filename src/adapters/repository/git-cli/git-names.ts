import { AppError } from '../../../kernel/errors.ts'

/** A repository's name is a folder's name: nothing that climbs, hides or looks like an option. */
export function checkRepositoryName(name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name) && !name.endsWith('.git') && !name.includes('..')) return
  throw new AppError(
    'BadRequest',
    `${JSON.stringify(name)} is no repository name.`,
    'Use up to 100 letters, digits, dots, dashes and underscores, beginning with a letter or digit, not ending in .git.',
  )
}

// git-check-ref-format(1), rules 1 to 10.
const forbiddenInBranch =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must be found
  /[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|\/\/|\/\.|\.lock(\/|$)|^\.|^\/|^-|[/.]$|^@$|^$/

export function checkBranchName(branch: string): void {
  if (!forbiddenInBranch.test(branch)) return
  throw new AppError(
    'BadRequest',
    `${JSON.stringify(branch)} is no branch name that Git allows.`,
    'See `git help check-ref-format`.',
  )
}

export function isObjectId(id: string): boolean {
  return /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(id)
}

/** Also a shortened id, as people type it. */
export function isObjectIdOrPrefix(id: string): boolean {
  return /^[0-9a-f]{4,64}$/.test(id)
}
