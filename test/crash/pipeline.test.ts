import { afterAll, beforeAll, expect, it } from 'vitest'
import { Family } from '../journeys/support/family.ts'
import { huntPipeline } from './support/hunt-pipeline.ts'
import { OwnServer } from './support/kill.ts'

// The small sister of `npm run torture -- pipeline`.

let family: Family
let server: OwnServer
beforeAll(async () => {
  family = await Family.start(['--slots', '2'])
  server = await OwnServer.takeOver(family)
  await server.ensure()
})
afterAll(async () => {
  await server?.kill()
  await family?.stop()
})

it('ends every execution in the true state, with nothing stale, half-written, twice at once or left over', async () => {
  const { deeds } = await huntPipeline(family, server, { name: 'pipeline', seed: 11, rounds: 5, longestMs: 700 })
  expect(deeds).toBeGreaterThan(5)
})
