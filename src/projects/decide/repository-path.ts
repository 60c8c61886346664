// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${matrix.x} is a word of modelwright.yaml
import { matchesPattern } from './path-pattern.ts'
import { asPattern, holdsItem } from './templates.ts'

/**
 * Why a path may not stand in modelwright.yaml, or undefined where it may. Paths are relative to the repository's
 * root, with `/`, and stay inside it; symbolic links are looked at where files are materialised.
 */
export function pathProblem(path: string): string | undefined {
  if (path.trim() === '') return 'is empty'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(path)) return 'holds a control character'
  if (path.includes('\\')) return 'holds a backslash; write / between folders'
  if (path.startsWith('/') || /^[A-Za-z]:/.test(path)) return "is absolute; write it relative to the repository's root"
  if (path.startsWith('~')) return 'begins with ~; write it relative to the repository’s root'
  const parts = path.split('/')
  if (parts.includes('..')) return 'leaves the repository by ".."'
  // Case and trailing dots or blanks: some file systems take `.GIT` and `.git.` for `.git`.
  // Whoever writes these expects more than a name; nothing here would carry it out.
  if (/\$\{/.test(path)) return 'holds "${"; in a path only ${matrix.NAME} and ${item} are filled in'
  if (isGlob(path) && /[{}]|[@!+?*]\(/.test(path)) return 'is a pattern with braces or brackets; write one dep for each'
  if (parts.some((part) => /^\.git[. ]*$/i.test(part))) return 'lies in .git'
  return undefined
}

/** `./work//a/` → `work/a`; the root itself → `.` */
export function normalisePath(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  return parts.length === 0 ? '.' : parts.join('/')
}

/** Whether a path is a pattern: it holds `*`, `?` or `[`. */
export const isGlob = (path: string): boolean => /[*?[]/.test(path)

/** True where one of two normalised paths is the other one, or a folder that holds it. */
export const pathsOverlap = (a: string, b: string): boolean => isInside(a, b) || isInside(b, a)

/** Whether a normalised path is the folder itself or lies in it. */
export const isInside = (path: string, folder: string): boolean =>
  folder === '.' || path === folder || path.startsWith(`${folder}/`)

/**
 * Whether what a step writes to `out` can be something that a dep (file, folder or glob) names. An output may be a
 * folder whose files nobody knows yet: it counts where the pattern leads into it. The whole repository (`.`) and a
 * pattern that begins with `**` mean the files in Git: taken for outputs too they would tie each step to all others.
 */
export function depSeesOut(dep: string, out: string): boolean {
  if (dep === '.') return false
  if (holdsItem(out)) return patternsMeet(dep, asPattern(out))
  if (!isGlob(dep)) return pathsOverlap(dep, out)
  if (matchesPattern(out, dep)) return true
  const globParts = dep.split('/')
  const outParts = out.split('/')
  const anyDepth = globParts.indexOf('**')
  const compared = anyDepth === -1 || anyDepth > outParts.length ? outParts.length : anyDepth
  if (compared === 0) return false
  if (anyDepth === -1 && globParts.length <= outParts.length) return false
  return matchesPattern(outParts.slice(0, compared).join('/'), globParts.slice(0, compared).join('/'))
}

/** Whether a dep (or an output) may name something that a pattern of outputs becomes; where both are patterns, rather yes. */
export function patternsMeet(dep: string, out: string): boolean {
  const [wanted, written] = [dep.split('/'), out.split('/')]
  for (let i = 0; i < Math.min(wanted.length, written.length); i++) {
    if (wanted[i] === '**') return true
    if (isGlob(wanted[i]!) && isGlob(written[i]!)) continue
    const meets = isGlob(wanted[i]!) ? matchesPattern(written[i]!, wanted[i]!) : matchesPattern(wanted[i]!, written[i]!)
    if (!meets) return false
  }
  return true
}
