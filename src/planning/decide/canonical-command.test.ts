import { expect, it } from 'vitest'
import { canonicalCommand } from './canonical-command.ts'

it.each<[string, string]>([
  ['  python a.py \n', 'python a.py'],
  ['python   a.py\t--n 3', 'python a.py --n 3'],
  ['python a.py \\\n    --n 3 \\\n    --m 4', 'python a.py --n 3 --m 4'],
  ['python a.py\\\n    --n 3', 'python a.py --n 3'],
  ['py\\\nthon a.py', 'python a.py'],
  ['echo \'a  b\'  "c  d"', 'echo \'a  b\' "c  d"'],
  ['echo "a \\"  b"  c', 'echo "a \\"  b" c'],
  ['echo a\\  b', 'echo a\\  b'],
  ['a\nb  c', 'a\nb c'],
  ['echo "$(cat  "a  b")"  ', 'echo "$(cat  "a  b")"'],
  ['cat <<E\na  b\nE\n', 'cat <<E\na  b\nE'],
])('of %j stays %j', (line, expected) => {
  expect(canonicalCommand(line)).toBe(expected)
})

it('is its own canonical form', () => {
  const once = canonicalCommand("a   'b  c' \\\n   d")
  expect(canonicalCommand(once)).toBe(once)
})
