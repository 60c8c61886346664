import { appendFileSync, chmodSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A pipeline of one step that a peer carries out: where it lies, and the variables that it is called with. */
export type Place = {
  folder: string
  env: Record<string, string>
  params: { depth: number; unused: number; theirs: number; seed: number }
  /** The command's text, as the peer's own file has it. */
  command: { blanks: boolean; extra: boolean }
  /** Writes the peer's own file and params.yaml anew. */
  write: () => void
  installPackage: (version: string) => void
  otherPython: () => void
}

/** The same code for everyone. Each run leaves a line in runs.txt, which no peer knows of. */
export function writeCode(folder: string): void {
  const helped = 'from pkg.helper import number\n\ndef value():\n    return number\n'
  const files: Record<string, string> = {
    'rows.csv': 'a\n1\n',
    'README.md': 'Rows.\n',
    'src/utils.py': helped,
    'src/pkg/helper.py': 'number = 1\n',
    'src/pkg/neighbour.py': 'other = 1\n',
    'src/train.py': `import os, sys
import utils
try:
    import iniconfig
except ImportError:
    pass
with open(os.environ["STALENESS_RUNS"], "a") as runs:
    runs.write("ran\\n")
with open("out.txt", "w") as out:
    out.write(str((utils.value(), sys.argv[1:], os.environ.get("STALENESS_DECLARED"))))
`,
  }
  for (const [path, text] of Object.entries(files)) writeFileSync(join(folder, path), text)
}

const file = ({ folder }: Place, path: string) => join(folder, path)

/** Each made on top of the one before it: the rows of test/journeys/staleness.test.ts that mean something elsewhere too. */
export const changes: { what: string; matters: boolean; make: (place: Place) => void }[] = [
  { what: 'nothing', matters: false, make: () => undefined },
  {
    what: 'a helper module two imports away',
    matters: true,
    make: (place) => writeFileSync(file(place, 'src/pkg/helper.py'), 'number = 2\n'),
  },
  {
    what: 'a module beside it that nobody imports',
    matters: false,
    make: (place) => writeFileSync(file(place, 'src/pkg/neighbour.py'), 'other = 2\n'),
  },
  {
    what: 'a file that is not declared',
    matters: false,
    make: (place) => writeFileSync(file(place, 'README.md'), 'Other rows.\n'),
  },
  {
    what: 'a declared file',
    matters: true,
    make: (place) => appendFileSync(file(place, 'src/train.py'), 'print(0)\n'),
  },
  { what: 'the data', matters: true, make: (place) => writeFileSync(file(place, 'rows.csv'), 'a\n2\n') },
  { what: "a declared file's mode", matters: true, make: (place) => chmodSync(file(place, 'src/train.py'), 0o755) },
  {
    what: 'the name of a module, with the import of it',
    matters: true,
    make: (place) => {
      renameSync(file(place, 'src/pkg/helper.py'), file(place, 'src/pkg/helped.py'))
      writeFileSync(file(place, 'src/utils.py'), 'from pkg.helped import number\n\ndef value():\n    return number\n')
    },
  },
  {
    what: 'a time stamp',
    matters: false,
    make: (place) => {
      const now = new Date()
      utimesSync(file(place, 'src/train.py'), now, now)
    },
  },
  { what: 'a parameter of the step', matters: true, make: set({ depth: 4 }) },
  { what: 'a parameter of another step', matters: false, make: set({ theirs: 2 }) },
  { what: 'the seed', matters: true, make: set({ seed: 8 }) },
  {
    what: 'the command',
    matters: true,
    make: (place) => {
      place.command.extra = true
      place.write()
    },
  },
  {
    what: 'blanks between the words of the command',
    matters: false,
    make: (place) => {
      place.command.blanks = true
      place.write()
    },
  },
  {
    what: 'an environment variable that the step reads (declared where that can be done)',
    matters: true,
    make: (place) => {
      place.env.STALENESS_DECLARED = 'two'
    },
  },
  {
    what: 'an environment variable that it does not read',
    matters: false,
    make: (place) => {
      place.env.STALENESS_UNDECLARED = 'two'
    },
  },
  { what: 'a package', matters: true, make: (place) => place.installPackage('2.1.0') },
  { what: 'the version of Python', matters: true, make: (place) => place.otherPython() },
  {
    what: 'the output is gone from the folder',
    matters: false,
    make: (place) => rmSync(file(place, 'out.txt'), { force: true }),
  },
]

function set(params: Partial<Place['params']>) {
  return (place: Place) => {
    Object.assign(place.params, params)
    place.write()
  }
}
