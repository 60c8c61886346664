import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'ui/src/**/*.test.ts'],
    // For what hangs: on two busy cores anything may take ten times its time.
    testTimeout: 90_000,
    hookTimeout: 120_000,
    // A run of all tests leaves some 130 databases, whose 80,000 files take their time to be removed.
    teardownTimeout: 180_000,
    globalSetup: 'test/support/postgres-server.ts',
    pool: 'forks',
    maxWorkers: 2,
    // Else each server of a test would make a converter's environment of packages from a registry.
    env: { MODELWRIGHT_CONVERT: 'off' },
  },
})
