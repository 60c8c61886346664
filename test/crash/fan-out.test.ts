// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${item} is a word of modelwright.yaml
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Family } from '../journeys/support/family.ts'
import { Project } from '../journeys/support/project.ts'
import { linesOf, OwnServer, randomFrom } from './support/kill.ts'

// kill -9 of the server while a list is made into steps and while these run.

let family: Family
let server: OwnServer
beforeAll(async () => {
  family = await Family.start(['--slots', '4'])
  server = await OwnServer.takeOver(family)
})
afterAll(async () => {
  await server?.kill()
  await family?.stop()
})

it('makes the same steps of a list, each carried out once, through kills at random moments', async () => {
  await server.ensure()
  const seen = join(family.folder, 'witness-fan-out')
  const names = Array.from({ length: 12 }, (_, index) => `i${index}`)
  const project = await Project.connect(family, 'killed-list', {
    'modelwright.yaml': `project: killed-list
steps:
  list: { run: 'sleep 0.1; cp list.json items.json', deps: [list.json], outs: [items.json] }
  each:
    run: echo \${item} >> ${seen}; sleep 0.05; echo \${item} > parts/\${item}
    foreach: items.json
    outs: ["parts/\${item}"]
  join: { run: "cat parts/* > all", deps: [parts/], outs: [all] }
`,
    'list.json': JSON.stringify(names),
  })
  const { commit } = await project.push('one')
  const random = randomFrom(11)
  for (let kill = 0; kill < 6; kill++) {
    await server.kill()
    server.start()
    await sleep(random() * 1_200)
  }
  await server.restart()
  const execution = await project.succeeded(commit)
  expect(execution.nodes.map(({ id }) => id)).toEqual(['list', 'each', ...names.map((name) => `each@${name}`), 'join'])
  expect(linesOf(seen).sort()).toEqual([...names].sort())
})
