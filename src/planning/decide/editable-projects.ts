import { repositoryPath } from './python-starts.ts'

/**
 * The folder of the repository that one line of a requirements file installs in place: `-e .`, `--editable=./libs/common[extra]`,
 * `./libs/common`; undefined for every other line. Relative to the repository's root.
 */
export function localProject(line: string): string | undefined {
  const found =
    /^\s*(?:(?:-e|--editable)[\s=]+)?(\.{1,2}(?:\/[^\s;[#]*)?|(?<=[\s=])[\w][\w./-]*)(?:\[[^\]]*\])?\s*(?:[;#].*)?$/.exec(
      line,
    )
  if (!found || (!/^\s*(-e|--editable)/.test(line) && !found[1]!.startsWith('.'))) return undefined
  return repositoryPath('.', found[1]!)
}

/**
 * Where a project keeps its packages, from what its own files say: setuptools' `package-dir` and `where`, poetry's `from`, hatch's
 * `packages`, uv's `module-root`; else `src` where there is one with Python in it, else the project's folder.
 */
export function packageFolders(
  folder: string,
  texts: readonly string[],
  hasPythonIn: (folder: string) => boolean,
): string[] {
  const written = texts.flatMap((text) => [
    ...values(text, /package[-_]dir\s*=\s*\{\s*["']{2}\s*[=:]\s*["']([^"']+)["']/g),
    ...values(text, /\bpackage_dir\s*=\s*(?:\n\s+)?=\s*(\S+)/g),
    ...values(text, /\bwhere\s*=\s*(?:\[\s*)?["']?([\w./-]+)/g),
    ...values(text, /\bfrom\s*=\s*["']([^"']+)["']/g),
    ...values(text, /\bmodule-root\s*=\s*["']([^"']*)["']/g),
    ...values(text, /\bpackages\s*=\s*\[\s*["']([^"']*\/)[^"'/]+["']/g),
  ])
  const named = [...new Set(written)].flatMap((path) => repositoryPath(folder, path || '.') ?? [])
  if (named.length > 0) return named
  const src = repositoryPath(folder, 'src')!
  return [hasPythonIn(src) ? src : folder]
}

const values = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map((match) => match[1]!)
