import { defineConfig } from 'vitest/config'

/** By hand: node_modules/.bin/vitest run --config test/torture/vitest.config.ts [NAME]; each file says what it takes. */
export default defineConfig({
  test: {
    include: ['test/torture/*.torture.ts'],
    testTimeout: 3_600_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 1,
  },
})
