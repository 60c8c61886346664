import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Place } from './changes.ts'

/** How one peer says the same step, and how it is called; each in the way that its own manual shows. */
export type Peer = {
  name: string
  package: string
  prepare?: (place: Place, bin: string) => void
  write: (place: Place) => void
  run: (place: Place, bin: string) => void
}

const commandOf = ({ command }: Place, depth: string) =>
  `python${command.blanks ? '   ' : ' '}src/train.py --depth${command.blanks ? '  ' : ' '}${depth}${command.extra ? ' --extra' : ''}`

const call = (place: Place, program: string, args: string[]) =>
  execFileSync(program, args, { cwd: place.folder, env: place.env, stdio: 'pipe' })

const dvc: Peer = {
  name: 'DVC',
  package: 'dvc',
  prepare: (place, bin) => {
    execFileSync('git', ['init', '-q'], { cwd: place.folder })
    call(place, join(bin, 'dvc'), ['init', '-q'])
  },
  write: (place) => {
    writeFileSync(join(place.folder, 'params.yaml'), JSON.stringify(place.params))
    writeFileSync(
      join(place.folder, 'dvc.yaml'),
      `stages:\n  train:\n    cmd: ${commandOf(place, '${depth}')}\n    deps: [src/train.py, rows.csv]\n    params: [depth, unused, seed]\n    outs: [out.txt]\n`,
    )
  },
  run: (place, bin) => call(place, join(bin, 'dvc'), ['repro', '-q']),
}

const snakemake: Peer = {
  name: 'Snakemake',
  package: 'snakemake',
  write: (place) => {
    writeFileSync(join(place.folder, 'params.yaml'), JSON.stringify(place.params))
    writeFileSync(
      join(place.folder, 'Snakefile'),
      `configfile: "params.yaml"
envvars: "STALENESS_DECLARED"
rule train:
    input: "src/train.py", "rows.csv"
    output: "out.txt"
    params: depth=config["depth"], unused=config["unused"], seed=config["seed"]
    shell: "${commandOf(place, '{params.depth}')}"
`,
    )
  },
  run: (place, bin) => call(place, join(bin, 'snakemake'), ['--cores', '1', '--quiet', 'all']),
}

const metaflow = (name: string, again: string[]): Peer => {
  let first = true
  return {
    name,
    package: 'metaflow',
    write: (place) => {
      writeFileSync(join(place.folder, 'params.yaml'), JSON.stringify(place.params))
      writeFileSync(
        join(place.folder, 'flow.py'),
        `import json, subprocess
from metaflow import FlowSpec, Parameter, step

config = json.load(open("params.yaml"))

class Train(FlowSpec):
    depth = Parameter("depth", default=config["depth"])

    @step
    def start(self):
        self.next(self.train)

    @step
    def train(self):
        subprocess.run(${JSON.stringify(commandOf(place, 'DEPTH'))}.replace("DEPTH", str(self.depth)), shell=True, check=True)
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    Train()
`,
      )
    },
    run: (place, bin) => {
      call(place, join(bin, 'python'), ['flow.py', '--quiet', ...(first ? ['run'] : again)])
      first = false
    },
  }
}

/** `run` begins anew; `resume end` takes what the last run has kept of the steps before `end`. */
export const peers: Peer[] = [
  dvc,
  snakemake,
  metaflow('Metaflow run', ['run']),
  metaflow('Metaflow resume', ['resume', 'end']),
]
