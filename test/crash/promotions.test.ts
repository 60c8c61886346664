import { afterAll, beforeAll, it } from 'vitest'
import { Family } from '../journeys/support/family.ts'
import { huntPromotions } from './support/hunt-promotions.ts'
import { killHard, OwnServer, pidOf } from './support/kill.ts'

// kill -9 of the server from the end of a step to the promotion's commit. No gateway runs: what is declared is all that counts.

let family: Family
let server: OwnServer
beforeAll(async () => {
  family = await Family.start(['--slots', '2'])
  server = await OwnServer.takeOver(family)
  await killHard(pidOf(family, 'gateway'))
})
afterAll(async () => {
  await server?.kill()
  await family?.stop()
})

it('commits each promotion once and registers each version once, killed at whatever moment', async () => {
  await huntPromotions(family, server, { name: 'hunted', models: 2, kills: 4, seed: 3, longestMs: 1_500 })
})
