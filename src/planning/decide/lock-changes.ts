import type { EnvironmentLock } from '../../ports/environments.ts'
import type { KeyChange } from '../plan.ts'
import { lockLines } from './locked-packages.ts'

/**
 * What differs between two locks, package by package: `scikit-learn 1.5.0 → 1.5.1`, `six 1.16.0 added`, `Python 3.11.2 → 3.12.1`.
 * The same version with other files (another build, other hashes) is named too.
 */
export function lockChanges(now: EnvironmentLock, before: EnvironmentLock): KeyChange[] {
  const changes: KeyChange[] = []
  const change = (part: 'python' | 'package', name: string, earlier: string | undefined, later: string | undefined) => {
    const text =
      earlier === undefined
        ? `${name} ${later} added`
        : later === undefined
          ? `${name} ${earlier} removed`
          : `${name} ${earlier} → ${later}`
    changes.push({ part, name, ...(earlier ? { before: earlier } : {}), ...(later ? { after: later } : {}), text })
  }
  if (now.pythonVersion !== before.pythonVersion) change('python', 'Python', before.pythonVersion, now.pythonVersion)
  const [packages, earlier] = [byName(now.requirements), byName(before.requirements)]
  for (const name of [...new Set([...packages.keys(), ...earlier.keys()])].sort()) {
    const [later, first] = [packages.get(name), earlier.get(name)]
    if (later?.version !== first?.version) change('package', name, first?.version, later?.version)
    else if (later?.line !== first?.line)
      changes.push({ part: 'package', name, text: `${name} ${later?.version}: other files` })
  }
  return changes
}

const byName = (requirements: string) => new Map(lockLines(requirements).map((one) => [one.name, one]))
