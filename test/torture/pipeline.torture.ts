import { afterAll, beforeAll, it } from 'vitest'
import { huntPipeline } from '../crash/support/hunt-pipeline.ts'
import { killHard, OwnServer, pidOf } from '../crash/support/kill.ts'
import { Family } from '../journeys/support/family.ts'

/*
 * Executions under kill -9 of server, runners and user processes, alone and in pairs, stopped processes and a turned clock.
 *
 *   npm run torture -- pipeline --minutes 30 --seed 1
 *
 * About four seconds per execution. Every ten executions a new project begins with the seed that its name tells, so that a failing
 * one can be had again alone.
 */
const { MINUTES = '1', SEED = '1' } = process.env
const [minutes, firstSeed] = [Number(MINUTES), Number(SEED)]
const executionsEach = 10

let family: Family
let server: OwnServer
beforeAll(async () => {
  family = await Family.start(['--slots', '2'])
  server = await OwnServer.takeOver(family)
  await killHard(pidOf(family, 'gateway'))
  await server.ensure()
})
afterAll(async () => {
  await server?.kill()
  await family?.stop()
})

it(`for ${minutes} minutes from seed ${firstSeed} on`, async () => {
  const until = Date.now() + minutes * 60_000
  let [executions, deeds] = [0, 0]
  for (let seed = firstSeed; Date.now() < until; seed++) {
    const hunt = {
      name: `seed-${seed}`,
      seed,
      rounds: executionsEach,
      longestMs: 1_000,
      until: () => Date.now() >= until,
    }
    const did = await huntPipeline(family, server, hunt)
    executions += did.rounds
    deeds += did.deeds
  }
  console.log(`${executions} executions, ${deeds} deeds`)
})
