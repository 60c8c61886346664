import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { AppError } from '../kernel/errors.ts'

/** What one check costs: as OWASP advises for scrypt (N = 2^14, r = 8, p = 5: 16 MB and a tenth of a second or two). */
export type PasswordCost = { N: number; r: number; p: number }
export const passwordCost: PasswordCost = { N: 2 ** 14, r: 8, p: 5 }

const shortest = 12
const longest = 1024

/** MLflow's rule, in its words. @throws AppError BadRequest */
export function checkPassword(password: string): void {
  if (password.length < shortest)
    throw new AppError('BadRequest', `Password must be at least ${shortest} characters.`, 'Choose a longer one.')
  if (password.length > longest)
    throw new AppError('BadRequest', `Password must be at most ${longest} characters.`, 'Choose a shorter one.')
}

/** `scrypt$N$r$p$salt$key`: the cost is kept with it, so that it can be raised later. */
export async function hashPassword(password: string, cost: PasswordCost = passwordCost): Promise<string> {
  const salt = randomBytes(16)
  const key = await derive(password, salt, cost)
  return ['scrypt', cost.N, cost.r, cost.p, salt.toString('base64'), key.toString('base64')].join('$')
}

export async function passwordMatches(password: string, hash: string): Promise<boolean> {
  const [scheme, N, r, p, salt, key] = hash.split('$')
  if (scheme !== 'scrypt' || !salt || !key) return false
  const expected = Buffer.from(key, 'base64')
  const derived = await derive(password, Buffer.from(salt, 'base64'), { N: Number(N), r: Number(r), p: Number(p) })
  return derived.length === expected.length && timingSafeEqual(derived, expected)
}

function derive(password: string, salt: Buffer, { N, r, p }: PasswordCost): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // One person's keyboard composes an ä as one character, another's as two: NFKC makes them the same password.
    scrypt(password.normalize('NFKC'), salt, 32, { N, r, p, maxmem: 256 * N * r + 2 ** 20 }, (error, key) =>
      error ? reject(error) : resolve(key),
    )
  })
}
