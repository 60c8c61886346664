import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, it } from 'vitest'
import { eventually } from '../journeys/support/eventually.ts'
import { Family, processesOf } from '../journeys/support/family.ts'
import { isAlive, killHard, pidOf, upAgain, upWordsOf } from './support/kill.ts'

let family: Family
afterEach(() => family?.stop())

it('takes over what a killed supervisor had only just started, whatever it had come to write down, and leaves nothing', async () => {
  family = await Family.start()
  const words = upWordsOf(family)
  await killHard(pidOf(family, 'supervisor'))
  for (const pause of [50, 150, 300, 450, 600]) {
    const next = upAgain(family, words)
    await sleep(pause)
    await killHard(next.pid!)
  }
  const last = upAgain(family, words)
  await eventually('the last family answers', {
    look: async () =>
      pidOf(family, 'supervisor') === last.pid &&
      (await parentOf(pidOf(family, 'server'))) === last.pid &&
      (await parentOf(pidOf(family, 'gateway'))) === last.pid &&
      (await fetch(`${family.url}/health`)).ok &&
      (await fetch(`${family.gatewayUrl}/health`)).ok,
    explain: () => family.explain(),
  })
  expect(await familyProcesses()).toHaveLength(3)
  const ended = new Promise((resolve) => last.once('exit', resolve))
  last.kill('SIGINT')
  expect(await ended).toBe(0)
  expect(await familyProcesses()).toEqual([])
})

it('ends no other Modelwright that was given the pid of a dead member', async () => {
  family = await Family.start()
  const words = upWordsOf(family)
  await killHard(pidOf(family, 'supervisor'))
  for (const member of ['server', 'gateway'] as const) await killHard(pidOf(family, member))
  const bystander = spawn('/bin/sh', ['-c', 'sleep 60; true', 'modelwright'], { stdio: 'ignore', detached: true })
  for (const member of ['server', 'gateway'])
    writeFileSync(
      join(family.dataDir, 'run', `${member}.json`),
      JSON.stringify({ pid: bystander.pid, url: 'http://127.0.0.1:9' }),
    )
  const next = upAgain(family, words)
  await eventually('the next family answers', {
    look: async () => (await fetch(`${family.url}/health`)).ok && (await fetch(`${family.gatewayUrl}/health`)).ok,
    explain: () => family.explain(),
  })
  expect(isAlive(bystander.pid!)).toBe(true)
  process.kill(-bystander.pid!, 'SIGKILL')
  const ended = new Promise((resolve) => next.once('exit', resolve))
  next.kill('SIGTERM')
  expect(await ended).toBe(0)
})

const familyProcesses = async () => (await processesOf(family.dataDir)).filter((pid) => pid !== process.pid)

const parentOf = async (pid: number): Promise<number> =>
  Number(spawnSync('ps', ['-o', 'ppid=', '-p', String(pid)], { encoding: 'utf8' }).stdout)
