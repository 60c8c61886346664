import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { type Family, processesOf } from '../../journeys/support/family.ts'
import { Project } from '../../journeys/support/project.ts'
import { linesOf, type OwnServer, randomFrom } from './kill.ts'

const steps = Array.from({ length: 12 }, (_, index) => `s${index}`)

/** Two chains of quick steps beside each other; each says outside its workspace that it was there. */
const fileOf = (project: string, seen: string) =>
  `project: ${project}\nsteps:\n${steps
    .map((step, index) => {
      const dep = index < 2 ? '' : `deps: [o${index - 2}], `
      return `  ${step}: { run: 'echo ${step} >> ${seen}; sleep 0.05; echo ${index} > o${index}', ${dep}outs: [o${index}] }`
    })
    .join('\n')}\n`

export const stepProcesses = (family: Family): Promise<number[]> => processesOf(join(family.dataDir, 'work'))

/**
 * One execution of twelve steps under a server that is killed again and again, each time after a random pause from its start on
 * (so also while it boots and takes up what it finds); then what must hold whatever the moments were.
 */
export async function huntSteps(
  family: Family,
  server: OwnServer,
  { name, kills, seed, longestMs }: { name: string; kills: number; seed: number; longestMs: number },
): Promise<void> {
  const seen = join(family.folder, `witness-${name}`)
  const project = await Project.connect(family, name, { 'modelwright.yaml': fileOf(name, seen) })
  const { commit } = await project.push('one')
  const random = randomFrom(seed)
  for (let kill = 0; kill < kills; kill++) {
    await server.kill()
    server.start()
    await sleep(random() * longestMs)
  }
  await server.restart()
  const execution = await project.succeeded(commit)
  const attempts = Object.fromEntries(execution.nodes.map(({ id, attempt }) => [id, attempt]))
  expect(attempts).toEqual(Object.fromEntries(steps.map((step) => [step, 1])))
  expect(linesOf(seen).sort(), 'each step once').toEqual([...steps].sort())
  expect(await project.executions()).toHaveLength(1)
  await project.eventually(
    'no process of a step is left',
    async () => (await stepProcesses(family)).length === 0,
    120_000,
  )
  const work = join(family.dataDir, 'work', execution.id)
  expect(readdirSync(work).sort()).toEqual([...steps].sort())
  for (const step of steps) expect(readdirSync(join(work, step, '1')).sort()).toEqual(['journal', 'log'])
}
