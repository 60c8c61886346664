/**
 * A seeded source of pseudo-random numbers: the same seed gives the same numbers on every machine. Not for secrets.
 * xoshiro128** 1.1 (Blackman and Vigna, https://prng.di.unimi.it/xoshiro128starstar.c), its state filled by splitmix64
 * (https://prng.di.unimi.it/splitmix64.c) as its authors advise.
 */
export type Rng = {
  /** The next 32 bits, an integer in [0, 2³²). */
  next32(): number
  /** Uniform in [0, 1), 53 bits. */
  uniform(): number
  /** A uniform integer in [0, bound); bound is a positive safe integer. */
  below(bound: number): number
}

/** @param seed a safe integer, or a text (its UTF-16 code units are mixed into 64 bits). */
export function seededRng(seed: number | string): Rng {
  let mixed = typeof seed === 'number' ? BigInt.asUintN(64, BigInt(Math.trunc(seed))) : mixText(seed)
  const state = new Uint32Array(4)
  for (let i = 0; i < 4; i += 2) {
    const step = splitmix64(mixed)
    mixed = step.state
    state[i] = Number(step.output & 0xffffffffn)
    state[i + 1] = Number(step.output >> 32n)
  }
  return xoshiro128(state)
}

/** The generator itself, from four 32-bit words that must not all be zero; the array becomes its state. */
export function xoshiro128(state: Uint32Array): Rng {
  const next32 = () => {
    const [s0, s1, s2, s3] = [state[0]!, state[1]!, state[2]!, state[3]!]
    const output = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0
    state[0] = s0 ^ s3 ^ s1
    state[1] = s1 ^ s2 ^ s0
    state[2] = s2 ^ s0 ^ (s1 << 9)
    state[3] = rotateLeft(s3 ^ s1, 11)
    return output
  }
  const uniform = () => ((next32() >>> 5) * 2 ** 26 + (next32() >>> 6)) / 2 ** 53
  return { next32, uniform, below: (bound) => Math.floor(uniform() * bound) }
}

/** One step of splitmix64: 64-bit state in, next state and 64-bit output out. */
export function splitmix64(state: bigint): { state: bigint; output: bigint } {
  const next = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n)
  let z = next
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n)
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn)
  return { state: next, output: z ^ (z >> 31n) }
}

const rotateLeft = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits))

function mixText(text: string): bigint {
  let mixed = BigInt(text.length)
  for (let i = 0; i < text.length; i++) mixed = splitmix64(mixed ^ BigInt(text.charCodeAt(i))).output
  return mixed
}
