import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { parseProjectFile } from '../../src/projects/index.ts'

it('the file that the README shows is one that a push would take', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const [, yaml] = /```yaml\n([\s\S]*?)```/.exec(readme)!
  expect(Object.keys(parseProjectFile(yaml!).steps)).toEqual(['prepare', 'train', 'evaluate'])
})
