import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../kernel/errors.ts'

/**
 * Which GPUs an attempt may use, as CUDA_VISIBLE_DEVICES numbers them: those that the fewest attempts hold. Written down beside the
 * workspace, so that a restarted server knows what the attempts that it adopts hold.
 */
export class GpuDevices {
  readonly #count: number
  readonly #held = new Map<string, number[]>()

  constructor(count: number) {
    this.#count = count
  }

  /** @throws AppError BadRequest where the machine has fewer. */
  take(dir: string, wanted: number, step: string): Record<string, string> {
    if (wanted === 0) return {}
    if (wanted > this.#count)
      throw new AppError(
        'BadRequest',
        `Step "${step}" asks for ${wanted} GPUs; this machine has ${this.#count}.`,
        'Ask for fewer (resources: { gpu: … }), or run it on a machine that has them.',
      )
    const holders = (device: number) => [...this.#held.values()].filter((devices) => devices.includes(device)).length
    const devices = Array.from({ length: this.#count }, (_, device) => device)
      .sort((a, b) => holders(a) - holders(b) || a - b)
      .slice(0, wanted)
    writeFileSync(pathIn(dir), devices.join(','))
    this.#held.set(dir, devices)
    return { CUDA_VISIBLE_DEVICES: devices.join(',') }
  }

  adopt(dir: string): void {
    if (this.#count === 0) return
    try {
      this.#held.set(dir, readFileSync(pathIn(dir), 'utf8').split(',').map(Number))
    } catch {
      // It was given none.
    }
  }

  release(dir: string): void {
    this.#held.delete(dir)
  }
}

const pathIn = (dir: string): string => join(dir, 'gpus')

/** NVIDIA's device files. */
export function gpusOfThisMachine(): number {
  try {
    return readdirSync('/dev').filter((name) => /^nvidia\d+$/.test(name)).length
  } catch {
    return 0
  }
}
