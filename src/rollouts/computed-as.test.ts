import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { model, projectText } from '../promotions/testing/promotion-bench.ts'
import { type RolloutBench, rolloutBench } from './testing/rollout-bench.ts'

describe('the form in which a version is deployed', () => {
  let bench: RolloutBench
  let ask: () => Promise<string | undefined>
  let asked = 0
  beforeEach(async () => {
    asked = 0
    ask = async () => bench.dataDir
    bench = await rolloutBench({
      conversions: {
        graphOf: () => {
          asked++
          return ask()
        },
      },
    })
  })
  afterEach(async () => {
    expect(bench.rolloutFailures).toEqual([])
    await bench.close()
  })
  const declare = async (more = '') => {
    await bench.push(projectText('{ production: automatic }', more))
    await bench.deliver()
  }
  const target = async () => (await bench.desired()).endpoints[0]!.versions[0]!.target

  it('is ONNX where that is proved to answer alike, under the digest that Git names, with its Python beside it', async () => {
    await declare()
    await bench.served()
    expect(await target()).toMatchObject({
      digest: await bench.declaredDigest(),
      graphPath: bench.dataDir,
      pythonPath: '/envs/one/bin/python',
      modelPath: expect.stringContaining('models'),
    })
    expect(asked).toBe(1)
  })

  it('is Python where there is no ONNX form: the rollout goes on', async () => {
    ask = async () => undefined
    await declare()
    await bench.served()
    expect(await target()).not.toHaveProperty('graphPath')
    expect((await bench.state()).state).toBe('serving')
  })

  it('is Python where Git says so, without a try, and changes with what Git says later', async () => {
    await declare('    serve: { convert: off }\n')
    await bench.served()
    expect(await target()).not.toHaveProperty('graphPath')
    expect(asked).toBe(0)
    await bench.push((await bench.text()).replace('convert: off', 'convert: auto'), 'mia')
    await bench.deliver()
    await bench.look()
    expect(await target()).toHaveProperty('graphPath', bench.dataDir)
    expect((await bench.deployment()).rollouts).toHaveLength(1)
  })

  it('says while it is being converted what the rollout waits for', async () => {
    let end = (_: string | undefined) => {}
    ask = () =>
      new Promise((resolve) => {
        end = resolve
      })
    await declare()
    await bench.judgeModel('e1')
    while (asked === 0) await bench.tick()
    await bench.tick()
    expect(await bench.deployment()).toMatchObject({ state: 'progressing', reason: 'it is being converted to ONNX' })
    end(undefined)
    await bench.look()
    expect((await bench.state()).state).toBe('serving')
  })

  it('is what each environment wants: one that keeps Python does not make the other begin with it', async () => {
    let end = (_: string | undefined) => {}
    ask = () =>
      new Promise((resolve) => {
        end = resolve
      })
    const both = projectText('{ staging: automatic, production: automatic }')
    await bench.push(`${both}  staging: { model: ${model}, serve: { convert: off } }\n`)
    await bench.deliver()
    await bench.judgeModel('e1')
    const forms = async () =>
      Object.fromEntries(
        (await bench.desired()).endpoints.map(({ environment, versions }) => [
          environment,
          versions[0]!.target.graphPath,
        ]),
      )
    const goesOn = async (isTrue: () => Promise<boolean>) => {
      for (let looks = 0; looks < 200 && !(await isTrue().catch(() => false)); looks++) await bench.tick()
    }
    await goesOn(async () => 'staging' in (await forms()) && asked === 1)
    await bench.tick()
    expect(await forms()).toEqual({ staging: undefined })
    end(bench.dataDir)
    await bench.look()
    expect(await forms()).toEqual({ staging: undefined, production: bench.dataDir })
  })

  it('is found again after a restart, and stays named until then', async () => {
    await declare()
    await bench.served()
    bench.restart()
    await bench.tick()
    expect(await target()).toHaveProperty('graphPath')
    await bench.look()
    expect(await target()).toHaveProperty('graphPath')
  })
})
