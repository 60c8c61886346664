import { execFileSync, spawn } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Digest, digestOfJson } from '../../kernel/digest.ts'
import { isAppError } from '../../kernel/errors.ts'
import type { EnvironmentLock, Environments } from '../environments.ts'

export type EnvironmentsUnderTest = { environments: () => Environments; cleanup: () => Promise<void> }

/** Needs the package registry: it takes the smallest real packages (six, iniconfig). */
export function environmentsConformance(name: string, make: () => Promise<EnvironmentsUnderTest>): void {
  describe(`${name} keeps the environments' contract`, () => {
    let under: EnvironmentsUnderTest
    let environments: Environments
    let lock: EnvironmentLock
    const quiet = () => undefined
    const failed = (error: unknown) => isAppError(error, 'EnvironmentFailed')
    beforeAll(async () => {
      under = await make()
      environments = under.environments()
      lock = await environments.resolve({ pythonVersion: '>= 3.8', requirements: '# tiny\nsix<1.17\n' }, quiet)
    })
    afterAll(() => under.cleanup())

    it('turns ranges into exact versions with hashes, and writes no address into the lock', () => {
      expect(lock.pythonVersion).toMatch(/^3\.\d+\.\d+$/)
      expect(lock.requirements).toMatch(/^six==1\.16\.0 \\\n( {4}--hash=sha256:[0-9a-f]{64}( \\)?\n)+$/)
      expect(lock.requirements).not.toMatch(/https?:|--index|--find-links/)
    })

    it('digests the interpreter and the packages together', () => {
      expect(lock.digest).toBe(digestOfJson({ pythonVersion: lock.pythonVersion, requirements: lock.requirements }))
    })

    it('resolves the same request to the same lock', async () => {
      const again = await under.environments().resolve({ pythonVersion: '>=3.8', requirements: 'six<1.17' }, quiet)
      expect(again).toEqual(lock)
    })

    it('throws EnvironmentFailed with the resolver’s own words for what cannot be resolved', async () => {
      const asked = environments.resolve({ requirements: 'six==99.99' }, quiet)
      await expect(asked).rejects.toSatisfy(failed)
      await expect(asked).rejects.toThrow(/six/)
    })

    it('throws EnvironmentFailed that lists the Pythons there are when none is in the range', async () => {
      await expect(environments.resolve({ pythonVersion: '>= 9.9', requirements: '' }, quiet)).rejects.toThrow(
        /No Python >= 9\.9 .* found: 3\./,
      )
      await expect(environments.resolve({ pythonVersion: 'newest', requirements: '' }, quiet)).rejects.toSatisfy(failed)
    })

    it.each(['-r other.txt', '--index-url x', '-e ../elsewhere', '-f wheels'])('refuses %j by name', async (line) => {
      await expect(environments.resolve({ requirements: `six\n${line}` }, quiet)).rejects.toSatisfy((error) =>
        isAppError(error, 'NotYetSupported'),
      )
    })

    it('finds nothing before it was built', async () => {
      expect(await environments.find(`sha256:${'1'.repeat(64)}` as Digest)).toBeUndefined()
    })

    it('builds once for many who ask at once, in one process and in two, and finds it afterwards', async () => {
      const other = under.environments()
      const lines: string[] = []
      const all = await Promise.all(
        [environments, environments, other, other].map((one) => one.ensure(lock, (line) => lines.push(line))),
      )
      expect(new Set(all.map((environment) => environment.pythonPath)).size).toBe(1)
      const { pythonPath, binPath } = all[0]!
      const program = 'import six, sys; print(six.__version__, ".".join(map(str, sys.version_info[:3])))'
      expect(execFileSync(pythonPath, ['-c', program], { encoding: 'utf8' })).toBe(`1.16.0 ${lock.pythonVersion}\n`)
      expect(pythonPath.startsWith(binPath)).toBe(true)
      expect(await under.environments().find(lock.digest)).toEqual(all[0])
      expect(lines.length).toBeGreaterThan(0)
    })

    it('makes an environment without packages', async () => {
      const empty = await environments.resolve({ requirements: '\n# nothing\n' }, quiet)
      expect(empty.requirements).toBe('')
      const { pythonPath } = await environments.ensure(empty, quiet)
      expect(execFileSync(pythonPath, ['-c', 'print(1)'], { encoding: 'utf8' })).toBe('1\n')
    })

    it('installs nothing whose bytes differ from the lock, and keeps no half environment', async () => {
      const requirements = lock.requirements.replaceAll(/sha256:[0-9a-f]{64}/g, `sha256:${'0'.repeat(64)}`)
      const forged = { pythonVersion: lock.pythonVersion, requirements }
      const digest = digestOfJson(forged)
      await expect(environments.ensure({ digest, ...forged }, quiet)).rejects.toSatisfy(failed)
      expect(await environments.find(digest)).toBeUndefined()
    })

    it('lets one who cancels go, while the build goes on for the others', async () => {
      const wanted = await environments.resolve({ requirements: 'iniconfig' }, quiet)
      const stop = new AbortController()
      const leaving = environments.ensure(wanted, quiet, stop.signal)
      const staying = environments.ensure(wanted, quiet)
      stop.abort(new Error('cancelled'))
      await expect(leaving).rejects.toThrow('cancelled')
      expect((await staying).lock).toEqual(wanted)
    })

    it('stops the build when all have cancelled, and builds it anew when asked again', async () => {
      const wanted = await environments.resolve({ requirements: 'six==1.15.0' }, quiet)
      const stop = new AbortController()
      const leaving = environments.ensure(wanted, quiet, stop.signal)
      setTimeout(() => stop.abort(new Error('cancelled')), 5)
      await expect(leaving).rejects.toThrow('cancelled')
      expect((await environments.ensure(wanted, quiet)).lock.digest).toBe(wanted.digest)
    })

    it('frees what nobody asked for since then, but nothing that a process uses; and builds it again', async () => {
      const { pythonPath } = await environments.ensure(lock, quiet)
      const sleeper = spawn(pythonPath, ['-c', 'import time; time.sleep(60)'])
      const gone = new Promise((done) => sleeper.once('exit', done))
      const later = Number.MAX_SAFE_INTEGER
      const isLock = expect.objectContaining({ digest: lock.digest, pythonVersion: lock.pythonVersion })
      try {
        expect(await environments.removeUnused(later)).not.toContainEqual(isLock)
      } finally {
        sleeper.kill('SIGKILL')
        await gone
      }
      expect(await environments.removeUnused(0)).toEqual([])
      expect(await environments.removeUnused(later, { dryRun: true })).toContainEqual(isLock)
      expect(await environments.find(lock.digest)).toBeDefined()
      expect(await environments.removeUnused(later)).toContainEqual(isLock)
      expect(await environments.find(lock.digest)).toBeUndefined()
      await environments.ensure(lock, quiet)
      expect(await environments.find(lock.digest)).toBeDefined()
    })
  })
}
