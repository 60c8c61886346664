import type { Files } from './project.ts'
import { requirements, sorterProject } from './sorter.ts'

// The sorter with a step before it that lays the rows out: where a fault is planted, the model remembers which row came first.

/** What may make the same commit give another result each time, or only on another day. */
export const faults = {
  none: 'rows.sort(key=lambda row: hash_of(row["id"] + version("psutil")))',
  // `random.shuffle` alone follows the step's seed; a generator of one's own does not.
  shuffle: 'random.Random().shuffle(rows)',
  clock: 'rows.sort(key=lambda row: hash_of(row["id"] + str(time.time())))',
  date: 'rows.sort(key=lambda row: hash_of(row["id"] + str(datetime.date.today())))',
  'hash seed': 'by_id = {row["id"]: row for row in rows}; rows = [by_id[id] for id in set(by_id)]',
}

/** `example`: the model is logged with an input example, so that two of it can be asked the same. */
export function mixtureProject(project: string, fault: keyof typeof faults, { example = false } = {}): Files {
  const files = sorterProject(project, { byMlflow: example })
  return {
    ...files,
    'requirements.txt': requirements,
    'src/lay_out.py': layOut.replace('# the order', faults[fault]),
    'src/train.py': files['src/train.py']!.replace('os.environ["MODELWRIGHT_DATA_FRUITS"]', '"work/rows.csv"')
      .replace('"moody_above": params', '"first": rows[0]["id"], "moody_above": params')
      .replace('pip_requirements=[],', `pip_requirements=[],${example ? exampleWords : ''}`),
    'modelwright.yaml': files['modelwright.yaml']!.replace(
      'steps:\n',
      // A step that asks for another hash seed than its own gets it: what is found out must not rely on the contract.
      `steps:
  lay-out:
    run: PYTHONHASHSEED=random python src/lay_out.py
    deps: [src/lay_out.py, 'data:fruits']
    outs: [work/rows.csv]
    params: { rows: 200 }
`,
    ).replace(
      "deps: [src/train.py, src/sorter.py, 'data:fruits']",
      'deps: [src/train.py, src/sorter.py, work/rows.csv]',
    ),
  }
}

const exampleWords = ' input_example={"size": [10.0, 70.0], "weight": [1.0, 2.0]},'

const layOut = `import csv, datetime, hashlib, os, random, time
from importlib.metadata import version


def hash_of(text):
    return hashlib.sha256(text.encode()).hexdigest()


rows = list(csv.DictReader(open(os.environ["MODELWRIGHT_DATA_FRUITS"])))
# the order
with open("work/rows.csv", "w", newline="") as file:
    writer = csv.DictWriter(file, ["id", "size", "weight", "kind"])
    writer.writeheader()
    writer.writerows(rows)
`
