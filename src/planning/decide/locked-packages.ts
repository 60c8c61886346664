/** `conda`: the address of its file, where it is a package of conda. */
export type LockedPackage = { name: string; version: string; hashes: string[]; conda?: string }

/**
 * The packages of a compiled requirements text: `name==1.2 \` with `--hash=sha256:…` on further lines; extras and markers are left
 * out, a package from an address has the address as its version. Names are written as PyPI compares them: lower case, runs of `-_.`
 * are one `-` (PEP 503).
 */
export const lockedPackages = (requirements: string): LockedPackage[] =>
  lockLines(requirements).map(({ name, version, line }) => {
    const conda = /--conda=(\S+)/.exec(line)?.[1]
    return {
      name,
      version,
      hashes: [...line.matchAll(/--hash[= ](sha\d+:[0-9a-f]+)/g)].map(([, hash]) => hash!),
      ...(conda === undefined ? {} : { conda }),
    }
  })

/** The same with all that the lock says of each package, markers and hashes included, on one line. */
export function lockLines(requirements: string): { name: string; version: string; line: string }[] {
  return requirements
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .flatMap((text) => {
      const line = text.trim()
      const found = /^(\w[\w.-]*)(?:\[[^\]]*\])?\s*(?:==\s*([^\s;]+)|@\s*(\S+))/.exec(line)
      if (!found) return []
      // conda has names that begin with an underscore, and tells _ from -.
      const name = line.includes(' --conda=') ? found[1]! : found[1]!.toLowerCase().replace(/[-_.]+/g, '-')
      return [{ name, version: found[2] ?? found[3]!, line }]
    })
}

/** Name → version, with the interpreter as `python`. */
export const packageVersions = (lock: { pythonVersion: string; requirements: string }): Record<string, string> => ({
  python: lock.pythonVersion,
  ...Object.fromEntries(lockedPackages(lock.requirements).map(({ name, version }) => [name, version])),
})
