import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'ui/src/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    globalSetup: 'test/support/postgres-server.ts',
    pool: 'forks',
    maxWorkers: 2,
    // Else each server of a test would make a converter's environment of packages from a registry.
    env: { MODELWRIGHT_CONVERT: 'off' },
  },
})
