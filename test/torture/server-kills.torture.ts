import { afterAll, beforeAll, it } from 'vitest'
import { huntSteps } from '../crash/support/hunt.ts'
import { huntPromotions } from '../crash/support/hunt-promotions.ts'
import { killHard, OwnServer, pidOf } from '../crash/support/kill.ts'
import { Family } from '../journeys/support/family.ts'

/*
 * The server killed with SIGKILL at random moments, far more often than the lasting tests do (test/crash/).
 *
 *   ROUNDS=20 KILLS=20 SEED=1 node_modules/.bin/vitest run --config test/torture/vitest.config.ts server-kills
 *
 * Each round is one execution of twelve steps, then three promotions, each with KILLS kills; round N uses seed SEED + N, so a
 * failing round can be had again alone. About a second per kill.
 */
const { ROUNDS = '5', KILLS = '20', SEED = '1' } = process.env
const [rounds, kills, firstSeed] = [Number(ROUNDS), Number(KILLS), Number(SEED)]

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

for (let round = 0; round < rounds; round++)
  it(`round ${round}, seed ${firstSeed + round}`, async () => {
    await server.ensure()
    const common = { kills, seed: firstSeed + round, longestMs: 1_500 }
    await huntSteps(family, server, { name: `steps-${round}`, ...common })
    await huntPromotions(family, server, { name: `models-${round}`, models: 3, ...common })
  })
