// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${params.x} is a word of modelwright.yaml
import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import type { JsonScalar } from '../project-file.ts'
import { renderCommand, unprotectedReferences } from './render-command.ts'

const step = (run: string) => ({ name: 's', run })

it.each<[JsonScalar, string]>([
  [3, '3'],
  [-0.5, '-0.5'],
  [1e-7, '1e-7'],
  [true, 'true'],
  ['', ''],
  ['a b', 'a b'],
  ["it's; rm -rf $HOME `id` $(id)\n\\", "it's; rm -rf $HOME `id` $(id)\n\\"],
  ['${params.y}', '${params.y}'],
  ['$& $1', '$& $1'],
])('hands %j to a program of sh as one argument, unchanged', (value, argument) => {
  const command = renderCommand(step('printf "%s|" ${params.x} end'), { x: value, y: 1 })
  expect(execFileSync('sh', ['-c', command], { encoding: 'utf8' })).toBe(`${argument}|end|`)
})

it('leaves what belongs to the shell alone', () => {
  expect(renderCommand(step('echo $HOME ${HOME} "$(pwd)" ${params.a.b}'), { 'a.b': 1 })).toBe(
    `echo $HOME \${HOME} "$(pwd)" '1'`,
  )
})

it('keeps a value from becoming a keyword or the number of a redirection', () => {
  expect(renderCommand(step('echo ${params.n}>out'), { n: 2 })).toBe("echo '2'>out")
})

it('refuses a parameter that the step does not have, also one that every object has', () => {
  expect(() => renderCommand(step('x ${params.toString}'), {})).toThrow('no parameter "toString"')
})

it.each<[string, string[]]>([
  ['a ${params.x} b', []],
  ['a "${params.x}" ${params.y}', ['x']],
  ["python -c 'print(${params.x})'", ['x']],
  ['a "\\"" ${params.x}', []],
  ['a "\\"${params.x}"', ['x']],
  ["a \\' ${params.x}", []],
  ["a '\\' ${params.x}", []],
  ["# don't\na ${params.x}", []],
  ["# '\necho 'x ${params.y}'", ['y']],
  ["a#b'${params.x}'", ['x']],
  ['cat <<EOF\n${params.x}\nEOF', ['x']],
])('in %j the quotes would not protect %j', (run, names) => expect(unprotectedReferences(run)).toEqual(names))
