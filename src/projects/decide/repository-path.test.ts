import { expect, it } from 'vitest'
import { isInside, normalisePath, pathProblem, pathsOverlap } from './repository-path.ts'

it.each([
  ...['data/a.csv', 'src/', './src', '.', 'a..b/c...d', '.gitignore', '.github/x', 'git', 'my file.csv', 'größe.csv'],
  ...['src/**/*.py', 'a~b', 'data/a@b.csv', '...'],
])('%j stays inside the repository', (path) => expect(pathProblem(path)).toBeUndefined())

it.each([
  ['', 'is empty'],
  ['  ', 'is empty'],
  ['..', 'leaves the repository'],
  ['../x', 'leaves the repository'],
  ['a/..', 'leaves the repository'],
  ['a/../../x', 'leaves the repository'],
  ['./../x', 'leaves the repository'],
  ['/etc/passwd', 'is absolute'],
  ['//host/x', 'is absolute'],
  ['C:/x', 'is absolute'],
  ['c:x', 'is absolute'],
  ['~/x', 'begins with ~'],
  ['~root/x', 'begins with ~'],
  ['..\\x', 'backslash'],
  ['a\\b', 'backslash'],
  ['a\0b', 'control character'],
  ['a\nb', 'control character'],
  ['a\x7fb', 'control character'],
  ['.git', 'lies in .git'],
  ['.git/hooks/post-receive', 'lies in .git'],
  ['sub/.git/config', 'lies in .git'],
  ['.Git/config', 'lies in .git'],
  ['.git./config', 'lies in .git'],
  ['.git /config', 'lies in .git'],
  ['./.git', 'lies in .git'],
])('%j is refused: it %s', (path, why) => expect(pathProblem(path)).toContain(why))

it.each([
  ['./work//a/', 'work/a'],
  ['.', '.'],
  ['./', '.'],
  ['a/./b', 'a/b'],
])('%s is %s', (path, normal) => expect(normalisePath(path)).toBe(normal))

it('takes a folder for what it holds, and not for a name that only begins like it', () => {
  expect(isInside('work/a', 'work')).toBe(true)
  expect(isInside('work', 'work')).toBe(true)
  expect(isInside('work', 'work/a')).toBe(false)
  expect(isInside('worker/a', 'work')).toBe(false)
  expect(pathsOverlap('work', 'work/a')).toBe(true)
  expect(pathsOverlap('work/a', 'work/b')).toBe(false)
})
