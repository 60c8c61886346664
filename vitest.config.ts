import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files with processes and models before those of single functions, so that no worker stands idle while the other ends a long one. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isLong = ({ moduleId }: TestSpecification) => moduleId.startsWith(`${import.meta.dirname}/test/`)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'ui/src/**/*.test.ts'],
    // For what hangs: on two busy cores anything may take ten times its time.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 60_000 } },
    // A run of all tests leaves some 130 databases, whose 80,000 files take their time to be removed.
    teardownTimeout: 180_000,
    globalSetup: 'test/support/postgres-server.ts',
    pool: 'forks',
    sequence: { sequencer: LongestFirst },
    maxWorkers: 2,
    // Else each server of a test would make a converter's environment of packages from a registry.
    env: { MODELWRIGHT_CONVERT: 'off' },
  },
})
