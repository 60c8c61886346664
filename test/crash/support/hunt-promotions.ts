import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { parse } from 'yaml'
import type { Family } from '../../journeys/support/family.ts'
import { Project } from '../../journeys/support/project.ts'
import { fastModelFiles } from './fast-model.ts'
import { type OwnServer, randomFrom } from './kill.ts'

/**
 * Models one after the other, each through the gate and promoted straight to the branch, under a server that is killed at random
 * moments from the push on until the promotion stands; then what must hold whatever the moments were.
 */
export async function huntPromotions(
  family: Family,
  server: OwnServer,
  {
    name,
    models,
    kills,
    seed,
    longestMs,
  }: { name: string; models: number; kills: number; seed: number; longestMs: number },
): Promise<void> {
  const random = randomFrom(seed)
  await server.ensure()
  const project = await Project.connect(family, name, {})
  for (let model = 1; model <= models; model++) {
    await server.restart()
    if (model > 1) await project.pull()
    const text = model > 1 ? await project.remoteFile('modelwright.yaml') : fastModelFiles(name, 1)['modelwright.yaml']
    await project.push(`model ${model}`, {
      ...fastModelFiles(name, model),
      'modelwright.yaml': text.replace(/log_model\.py \d+/, `log_model.py ${model}`),
    })
    for (let kill = 0; kill < kills; kill++) {
      await sleep(random() * longestMs)
      await server.kill()
      server.start()
    }
    await server.restart()
    await project.eventually(`model ${model} is promoted once`, async () => {
      const state = await standingOf(project)
      return state.declared?.version === model && state.promotions.length === model
    })
  }
  await server.restart()
  await project.eventually('each promotion is committed', async () =>
    (await standingOf(project)).promotions.every(({ state }) => state === 'committed'),
  )
  // The loops would do now what they wrongly still had in mind.
  await sleep(1_500)
  const { promotions, declared, trailers, text, head } = await standingOf(project)
  const numbers = Array.from({ length: models }, (_, index) => index + 1)
  expect(promotions.map(({ version }) => version).sort()).toEqual(numbers)
  expect(new Set(promotions.map(({ state }) => state))).toEqual(new Set(['committed']))
  expect(trailers.sort(), 'one commit per promotion').toEqual(promotions.map(({ id }) => id).sort())
  const versions = await project.versions(name)
  expect(versions.map(({ version }) => version).sort()).toEqual(numbers)
  const newest = promotions.find(({ version }) => version === models)!
  expect(declared).toMatchObject({ model: name, version: models, digest: newest.digest })
  expect(newest.commit).toBe(head)
  expect(text).toContain('# kept by every promotion')
  expect(await project.executions(), 'a promotion trains nothing').toHaveLength(models)
}

async function standingOf(project: Project) {
  const text = await project.remoteFile('modelwright.yaml')
  const { output } = await project.git(
    'log',
    '--format=%(trailers:key=Modelwright-Promotion,valueonly)',
    'modelwright/main',
  )
  const { deployments } = parse(text) as {
    deployments: Record<string, { model: string; version?: number; digest?: string }>
  }
  return {
    text,
    head: await project.remoteHead(),
    trailers: output.split('\n').filter(Boolean),
    declared: deployments.production,
    promotions: (await project.promotions()).filter(({ kind }) => kind === 'promotion'),
  }
}
