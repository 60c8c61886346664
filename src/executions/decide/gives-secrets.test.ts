import { expect, it } from 'vitest'
import { givesSecrets } from './gives-secrets.ts'

it.each(['push', 'run', 'person', 'reproduction', 'drift', 'metric', 'schedule'])('gives secrets to %s', (kind) => {
  expect(givesSecrets({ kind })).toBe(true)
})

it.each(['pull request from outside', 'fork', ''])('gives none to %j', (kind) => {
  expect(givesSecrets({ kind })).toBe(false)
})
