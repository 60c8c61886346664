import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { adapterNames } from '../../src/compose/adapters.ts'

const foldersIn = (path: string): string[] =>
  readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()

it('registers every adapter that lies in src/adapters, and no other', () => {
  const root = fileURLToPath(new URL('../../src/adapters/', import.meta.url))
  const lying = Object.fromEntries(foldersIn(root).map((port) => [port, foldersIn(`${root}${port}`)]))
  const registered = Object.fromEntries(Object.entries(adapterNames).map(([port, names]) => [port, [...names].sort()]))
  expect(registered).toEqual(lying)
})
