import { defineConfig } from 'vitest/config'

/** By hand: npm run torture -- [NAME]; each file says what it takes. */
export default defineConfig({
  test: {
    include: ['test/torture/*.torture.ts'],
    testTimeout: 3_600_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 1,
    env: { MODELWRIGHT_CONVERT: 'off' },
  },
})
