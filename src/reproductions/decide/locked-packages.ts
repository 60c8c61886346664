export type LockedPackage = { name: string; version: string; hashes: string[] }

/**
 * The packages of a compiled requirements text: `name==1.2 \` with `--hash=sha256:…` on further lines; extras and markers are left
 * out, a package from an address has the address as its version. Names are written as PyPI compares them: lower case, runs of `-_.`
 * are one `-` (PEP 503).
 */
export function lockedPackages(requirements: string): LockedPackage[] {
  const packages: LockedPackage[] = []
  for (const line of requirements.split('\n')) {
    const match = /^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*(?:==\s*([^\s;\\]+)|@\s*(\S+))/.exec(line)
    if (match)
      packages.push({
        name: match[1]!.toLowerCase().replace(/[-_.]+/g, '-'),
        version: match[2] ?? match[3]!,
        hashes: [],
      })
    for (const [, hash] of line.matchAll(/--hash[= ](sha\d+:[0-9a-f]+)/g)) packages.at(-1)?.hashes.push(hash!)
  }
  return packages
}

/** Name → version, with the interpreter as `python`. */
export const packageVersions = (lock: { pythonVersion: string; requirements: string }): Record<string, string> => ({
  python: lock.pythonVersion,
  ...Object.fromEntries(lockedPackages(lock.requirements).map(({ name, version }) => [name, version])),
})
