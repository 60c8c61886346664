import { AppError } from '../kernel/errors.ts'

export function wholeNumber(flag: string, text: string, from: number, to: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (number >= from && number <= to) return number
  throw new AppError('BadRequest', `${flag} is "${text}".`, `Say a whole number from ${from} to ${to}.`)
}
